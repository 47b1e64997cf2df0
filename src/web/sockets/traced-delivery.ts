import type { DeliveryListener } from '../../redis/delivery.ts';
import type { Tracing } from '../../telemetry/tracing.ts';

/** A listener that shows in the traces of what it hears how long the telling took, until the sockets here had it. */
export function tracedDelivery(listener: DeliveryListener, tracing: Tracing): DeliveryListener {
  if (!tracing.on) return listener;
  let begun = 0;
  return {
    onGap: () => listener.onGap(),
    prepare: (batch) => {
      begun = Date.now();
      return listener.prepare(batch);
    },
    onBatch: (batch) => {
      const step = tracing.step('deliver', batch.items, begun);
      try {
        listener.onBatch(batch);
      } finally {
        step.end();
      }
    },
  };
}
