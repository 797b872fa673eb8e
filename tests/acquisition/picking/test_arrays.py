"""The searches know no rule: what they import is each other."""

import ast
from pathlib import Path

from dpc_lightning.acquisition import picking
from dpc_lightning.acquisition.base import FloatArray, IntArray, LabelArray
from dpc_lightning.acquisition.picking import arrays


def test_searches_import_no_rule() -> None:
    for file in Path(picking.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dpc_lightning"):
                assert (node.module or "").startswith(("dpc_lightning.acquisition.picking.", "dpc_lightning.errors"))


def test_rules_use_the_same_names() -> None:
    assert (FloatArray, IntArray, LabelArray) == (arrays.FloatArray, arrays.IntArray, arrays.LabelArray)
