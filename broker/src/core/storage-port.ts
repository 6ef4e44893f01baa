export {
  dropFront,
  readWhole,
  replaceFile,
  type Storage,
  StorageError,
  type StorageFile,
  writeAll,
} from '@popmq/kit'
