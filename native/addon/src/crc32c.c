/*
 * CRC32C. One crc32 instruction takes 3 cycles but may start in each, so that
 * three thirds of a block are summed side by side and then joined: the sum of
 * AB is that of A, moved on over as many zero bytes as B has, xor that of B.
 * Moving is linear, so four tables of 256 entries do it for one fixed length.
 */
#include <stdbool.h>
#include <string.h>

#include "crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */
/* Bytes of a third: three of them fill a block of 4096 but for 16 bytes. */
#define THIRD_BYTES 1360

/* Filled before main, constant from then on. */
static uint32_t byte_table[256];
static uint32_t move_table[4][256];
static bool has_instruction;

static uint32_t by_table(uint32_t sum, const unsigned char *data, size_t length)
{
	while (length--)
		sum = byte_table[(sum ^ *data++) & 0xff] ^ (sum >> 8);
	return sum;
}

static uint32_t move(uint32_t sum)
{
	return move_table[0][sum & 0xff] ^ move_table[1][sum >> 8 & 0xff] ^
	       move_table[2][sum >> 16 & 0xff] ^ move_table[3][sum >> 24];
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
#define SUM_WORD(sum, word) ((uint32_t)_mm_crc32_u64(sum, word))
#define SUM_BYTE(sum, byte) _mm_crc32_u8(sum, byte)

static bool probe_instruction(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define WITH_INSTRUCTION __attribute__((target("+crc")))
#define SUM_WORD(sum, word) __crc32cd(sum, word)
#define SUM_BYTE(sum, byte) __crc32cb(sum, byte)

static bool probe_instruction(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
}
#else
#define WITH_INSTRUCTION
#define SUM_WORD(sum, word) by_table(sum, (const unsigned char *)&(word), sizeof(word))
#define SUM_BYTE(sum, byte) by_table(sum, &(byte), 1)

static bool probe_instruction(void)
{
	return false;
}
#endif

static uint64_t word_at(const unsigned char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

WITH_INSTRUCTION static uint32_t by_instruction(uint32_t sum, const unsigned char *data,
						size_t length)
{
	for (; length >= 3 * THIRD_BYTES; length -= 3 * THIRD_BYTES, data += 3 * THIRD_BYTES) {
		uint32_t second = 0, third = 0;

		for (size_t at = 0; at < THIRD_BYTES; at += sizeof(uint64_t)) {
			sum = SUM_WORD(sum, word_at(data + at));
			second = SUM_WORD(second, word_at(data + THIRD_BYTES + at));
			third = SUM_WORD(third, word_at(data + 2 * THIRD_BYTES + at));
		}
		sum = move(move(sum) ^ second) ^ third;
	}
	for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t), data += sizeof(uint64_t))
		sum = SUM_WORD(sum, word_at(data));
	for (; length; length--, data++)
		sum = SUM_BYTE(sum, *data);
	return sum;
}

__attribute__((constructor)) static void fill_tables(void)
{
	static const unsigned char zeros[THIRD_BYTES];

	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t sum = byte;

		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
		byte_table[byte] = sum;
	}
	for (uint32_t place = 0; place < 4; place++)
		for (uint32_t byte = 0; byte < 256; byte++)
			move_table[place][byte] = by_table(byte << 8 * place, zeros, sizeof(zeros));
	has_instruction = probe_instruction();
}

uint32_t crc32c_by_table(uint32_t seed, const void *data, size_t length)
{
	return ~by_table(~seed, data, length);
}

uint32_t crc32c(uint32_t seed, const void *data, size_t length)
{
	return has_instruction ? ~by_instruction(~seed, data, length)
			       : crc32c_by_table(seed, data, length);
}
