declare const brand: unique symbol

/** A number (or string) that cannot be swapped with another of the same shape: `Branded<number, 'Offset'>`. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name }
