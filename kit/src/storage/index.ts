export {
  type DataDirectory,
  DataDirectoryError,
  type DataDirectoryFormat,
  type DataDirectoryOptions,
  type DataDirectoryOwner,
  type DataDirectoryRole,
  openDataDirectory,
} from './data-directory.ts'
export { fileStorage } from './file-storage.ts'
