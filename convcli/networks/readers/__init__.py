"""Networks as others write them: files, printouts, and calls of other libraries."""
