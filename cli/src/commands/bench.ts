import type { Command } from 'commander'
import type { Act } from '../usage.ts'

export function addBenchCommand(_program: Command, _act: Act): void {}
