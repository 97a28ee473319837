# ss-server for a cluster. The same commit gives the same files:
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) -t registry.example.com/podsocks/ss-server:0.1.0 .
#
# With --output type=registry,rewrite-timestamp=true, so are the layers, byte for byte.
# To pin the base images so that nobody can exchange them, write tag and digest, as node:24.21.0-bookworm@sha256:…; this prints it:
#
#   docker buildx imagetools inspect node:24.21.0-bookworm --format '{{.Manifest.Digest}}'

# With a C compiler. Debian 12 as in the last stage: the addon is linked to its libc.
FROM node:24.21.0-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.base.json ./
COPY packages/native/package.json packages/native/
COPY packages/shared/package.json packages/shared/
COPY packages/server/package.json packages/server/
RUN npm ci --ignore-scripts --include-workspace-root --workspace=@podsocks/server
COPY packages/native packages/native
COPY packages/shared packages/shared
COPY packages/server packages/server
RUN npx tsc -b packages/server
RUN node packages/native/build.mjs

# What runs, and nothing else: no compiler, no sources, no development dependencies, no client.
FROM node:24.21.0-bookworm AS tree
WORKDIR /app
COPY package.json package-lock.json LICENSE ./
COPY packages/native/package.json packages/native/
COPY packages/shared/package.json packages/shared/
COPY packages/server/package.json packages/server/
RUN npm ci --ignore-scripts --omit=dev --workspace=@podsocks/server \
  && rm -rf node_modules/node-api-headers node_modules/.package-lock.json package.json package-lock.json
COPY --from=build /app/packages/native/build packages/native/build
COPY --from=build /app/packages/native/dist packages/native/dist
COPY --from=build /app/packages/shared/dist packages/shared/dist
COPY --from=build /app/packages/server/dist packages/server/dist
COPY packages/server/bin packages/server/bin
ARG SOURCE_DATE_EPOCH=0
RUN find . -name '*.tsbuildinfo' -o -name '*.d.ts' -o -name '*.map' | xargs rm -f \
  && printf '#!/nodejs/bin/node\nimport("/app/packages/server/dist/cli.js");\n' > ss-server \
  && chmod -R u=rwX,go=rX . && chmod 755 ss-server \
  && find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# Node, its libraries, certificates; no shell, no package manager.
FROM gcr.io/distroless/nodejs24-debian12:nonroot
LABEL org.opencontainers.image.title="ss-server" \
  org.opencontainers.image.description="Shadowsocks server for a Kubernetes cluster." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="MIT"
COPY --from=tree /app /app
# For kubectl exec: ss-server policy test …
COPY --from=tree /app/ss-server /usr/local/bin/ss-server
ENV NODE_ENV=production
WORKDIR /app
# By number, or Kubernetes cannot tell that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8388/tcp 8388/udp 9090/tcp
ENTRYPOINT ["/nodejs/bin/node", "/app/packages/server/bin/ss-server.cjs"]
