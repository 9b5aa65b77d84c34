/** How many elements a tensor of this shape has. */
export const shapeSize = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
