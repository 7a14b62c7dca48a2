/** The traces of one process, as configured. */
import { hostname } from 'node:os';
import type { Clock } from '../../decision/ports.ts';
import type { TracesConfig } from './config.ts';
import { createSpanExporter } from './exporter.ts';
import { createTracer, type Tracer } from './tracer.ts';

export interface OpenTracerDeps {
  readonly clock: Clock;
  readonly version: string;
  readonly onError: (detail: string) => void;
}

export const openTracer = (config: TracesConfig, { clock, version, onError }: OpenTracerDeps): Tracer => {
  const resource = { 'service.name': 'curfew', 'service.version': version, 'service.instance.id': `${hostname()}:${process.pid}`, 'host.name': hostname(), 'process.pid': process.pid };
  return createTracer({ config, clock, exporter: createSpanExporter({ config, resource, version, onError }) });
};
