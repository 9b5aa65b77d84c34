# Targets: api (no TensorFlow), worker (CPU), worker-gpu (CUDA).
#   docker build --target worker-gpu --tag graft-worker-gpu .
# Set-up is the same as in a clone (scripts/setup.mjs), but without the embedded servers: Postgres and Redis run in containers of their own.

FROM node:22-bookworm-slim AS base
ENV NODE_ENV=production
WORKDIR /graft

# Only what set-up needs and reads, so that a change to the source does not download TensorFlow again.
FROM base AS tools
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 python3-pip g++ ca-certificates \
  && rm -rf /var/lib/apt/lists/*
ENV XDG_CACHE_HOME=/opt/cache
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY prisma prisma
COPY scripts/setup.mjs scripts/setup.mjs
COPY scripts/setup scripts/setup

FROM tools AS api-packages
RUN node scripts/setup.mjs --production --no-servers --no-tensorflow && rm -rf /root/.npm

FROM api-packages AS worker-packages
COPY workers/engine/tensorflow/tensorflow.ts workers/engine/tensorflow/tensorflow.ts
COPY workers/engine/kernels workers/engine/kernels
RUN GRAFT_TENSORFLOW=cpu node scripts/setup.mjs --production --no-servers

FROM api-packages AS worker-gpu-packages
COPY workers/engine/tensorflow/tensorflow.ts workers/engine/tensorflow/tensorflow.ts
COPY workers/engine/kernels workers/engine/kernels
RUN GRAFT_TENSORFLOW=cuda node scripts/setup.mjs --production --no-servers

# The directories that become volumes belong to the user that the image runs as.
FROM base AS source
RUN mkdir --parents /data/hub /models && chown --recursive node:node /data /models
ENV DATA_DIR=/data MODELS_DIR=/models
COPY package.json LICENSE ./
COPY prisma prisma
COPY src src
COPY web web

FROM source AS api
COPY --from=api-packages /graft/node_modules node_modules
COPY --from=api-packages /graft/src/generated src/generated
# WORKERS=0: this image cannot train.
ENV HOST=0.0.0.0 PORT=3000 WORKERS=0
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "tsx", "src/server.ts"]

FROM source AS worker-source
COPY workers workers
COPY models models
COPY scripts/docker scripts/docker
USER node
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["node", "scripts/docker/worker-health.mjs"]
CMD ["node", "--import", "tsx", "workers/main.ts"]

FROM worker-source AS worker
COPY --from=worker-packages /opt/cache /opt/cache
COPY --from=worker-packages /graft/node_modules node_modules
COPY --from=worker-packages /graft/src/generated src/generated

# Run it with the NVIDIA container toolkit: --gpus all. The image holds the CUDA libraries; the driver comes from the host.
FROM worker-source AS worker-gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=worker-gpu-packages /opt/cache /opt/cache
COPY --from=worker-gpu-packages /graft/node_modules node_modules
COPY --from=worker-gpu-packages /graft/src/generated src/generated
