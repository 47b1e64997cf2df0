/** SQL of what stands for an id in `erasures`. */
export const hashOf = (id: string): string => `sha256(convert_to(${id}, 'UTF8'))`;
