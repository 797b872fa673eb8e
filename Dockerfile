# docker build -t dpc-lightning .
# docker run --rm --gpus all --shm-size 2g -v "$PWD:/workspace" dpc-lightning fit --config quickstart
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 NO_ALBUMENTATIONS_UPDATE=1 OMP_WAIT_POLICY=PASSIVE
WORKDIR /opt/dpc_lightning
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dpc_lightning ./dpc_lightning
COPY callbacks ./callbacks
COPY configs ./configs
RUN python -m pip install -c constraints.txt .

# data/ and runs/ are made below the folder that is mounted here
WORKDIR /workspace
ENTRYPOINT ["python", "-m", "dpc_lightning"]
CMD ["--help"]
