# Curfew for production: `curfew serve` with a configuration that is mounted at /etc/curfew and a volume for its state.
#
#   docker build -t curfew .
#   docker run --read-only -v /etc/curfew:/etc/curfew:ro -v curfew:/var/lib/curfew curfew
#
# No shell is used at run time, the user is not root, and nothing but the volume is written. deploy/README.md says more.

FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# LMDB comes as a prebuilt package of its own, so no install script has to run.
RUN ["npm", "ci", "--ignore-scripts"]
COPY tsconfig.json tsconfig.build.json tsconfig.client.json ./
COPY src ./src
COPY scripts ./scripts
RUN ["npm", "run", "build"]
# OPA's compiler and tester for `curfew policy` and for folders of Rego, built from source by Go; nothing else of Go gets further.
COPY --from=golang:1.26 /usr/local/go /usr/local/go
COPY --from=golang:1.26 /etc/ssl/certs /etc/ssl/certs
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY toolchain ./toolchain
RUN ["node", "scripts/toolchain.mjs"]
RUN ["npm", "prune", "--omit=dev", "--ignore-scripts"]

FROM node:24-slim
LABEL org.opencontainers.image.title="curfew" org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
COPY --from=build /src/package.json /opt/curfew/package.json
COPY --from=build /src/node_modules /opt/curfew/node_modules
COPY --from=build /src/dist /opt/curfew/dist
COPY --from=build /src/.cache/toolchain /opt/curfew/dist/toolchain
COPY bundles /opt/curfew/bundles
COPY policies /opt/curfew/policies
COPY docs/reference/controls.json /opt/curfew/docs/reference/controls.json
COPY LICENSE /opt/curfew/LICENSE
# 1000 is the user `node` of the base image.
RUN ["install", "-d", "-o", "1000", "-g", "1000", "-m", "0700", "/var/lib/curfew"]
WORKDIR /var/lib/curfew
VOLUME ["/var/lib/curfew"]
USER 1000:1000
# Decisions over HTTP and gRPC, and administration.
EXPOSE 8181 9191 8182
# Is the node ready to decide? With TLS or another port on the HTTP listener, give a check of your own (--health-cmd).
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:8181/health/ready', { signal: AbortSignal.timeout(2000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/opt/curfew/dist/main.js"]
CMD ["serve", "--config", "/etc/curfew/curfew.yaml"]
