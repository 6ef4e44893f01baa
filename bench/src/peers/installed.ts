/** Told in words, before something is installed. */
export type Say = (what: string) => void

export type Installed = { readonly version: string } | { readonly notRun: string }
