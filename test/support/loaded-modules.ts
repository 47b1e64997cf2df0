import { registerHooks } from 'node:module';

/** Loaded ahead of a program, says which modules of OpenTelemetry's the program loads. */
registerHooks({
  load: (url, context, next) => {
    const [, name] = /node_modules\/(@opentelemetry\/[\w-]+|bullmq-otel|@fastify\/otel)\//.exec(url) ?? [];
    // The bare names of things, which prom-client loads anyway.
    if (name !== undefined && name !== '@opentelemetry/api') process.stdout.write(`LOADED ${name}\n`);
    return next(url, context);
  },
});
