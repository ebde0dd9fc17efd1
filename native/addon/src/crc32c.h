/* CRC32C (Castagnoli), the checksum of stored blocks and files. */
#ifndef WRENN_CRC32C_H
#define WRENN_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `data`; `seed` is that of what came before it, or 0. */
uint32_t crc32c(uint32_t seed, const void *data, size_t length);

/* The same without the processor's instructions, which all machines share. */
uint32_t crc32c_by_table(uint32_t seed, const void *data, size_t length);

#endif
