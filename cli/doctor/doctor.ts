export const examine = async (_: unknown) => {};
