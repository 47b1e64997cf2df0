FROM node:24-slim

WORKDIR /app
ENV NODE_ENV=production

COPY package.json package-lock.json .npmrc ./
COPY scripts/sbom.ts ./scripts/
# /app/sbom.cdx.json tells what is in here, in CycloneDX's words.
RUN npm ci --omit=dev --no-audit --no-fund && node scripts/sbom.ts sbom.cdx.json && npm cache clean --force

# No build step: Node strips the types.
COPY src ./src
COPY workers ./workers
COPY migrations ./migrations
COPY scripts/migrate.ts scripts/compose-secrets.ts scripts/compile.ts ./scripts/
RUN install -d -o node -g node node_modules/.cache

USER node
# What is compiled is kept by user. A start takes two thirds of the processor's time with it.
RUN node scripts/compile.ts
EXPOSE 3000

# For the web process; a worker listens on nothing and goes without (docker-compose.yml).
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# The worker runs the same image with `node workers/main.ts`, a release with `node scripts/migrate.ts`.
CMD ["node", "src/web/main.ts"]
