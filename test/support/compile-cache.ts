/** Compiled code is kept between starts: a run starts some hundred processes. */
export const NODE_COMPILE_CACHE = 'node_modules/.cache/node';
