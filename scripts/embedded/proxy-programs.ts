import type { UnpackedProgram } from './unpacked.ts';

/** Proxies that the operations guide has a snippet for. */
export const PROXY_PROGRAMS = {
  nginx: { file: 'usr/sbin/nginx', package: 'nginx', version: ['-v'] },
  haproxy: {
    file: 'usr/sbin/haproxy',
    package: 'haproxy',
    libraries: ['liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'],
    version: ['-v'],
  },
  caddy: { file: 'usr/bin/caddy', package: 'caddy', version: ['version'] },
} as const satisfies Record<string, UnpackedProgram>;
