/*
 * Make a process believe that it runs on another x86-64 processor.
 *
 * Linux can make the CPUID instruction fault (arch_prctl ARCH_SET_CPUID) where the processor, or the
 * hypervisor under it, supports that. This library, preloaded, turns the fault on before main and
 * answers in the processor's place, with the real answer edited:
 *
 *   FAKE_CPU_HIDE_AVX512=1          leaf 7: no AVX-512, AMX or AVX-VNNI
 *   FAKE_CPU_VENDOR=AuthenticAMD    leaf 0 and 0x80000000: another maker, 12 letters
 *   FAKE_CPU_SIGNATURE=00a20f10     leaf 1 EAX, hexadecimal: family, model and stepping
 *   FAKE_CPU_CACHES=32,1024,32768   KiB of data cache in level 1, 2 and 3, in the leaves of both
 *                                   makers (4 and 0x8000001d, 0x80000005 and 0x80000006)
 *
 * Where CPUID cannot be made to fault, the process ends at once with status 77. A program that has
 * rewritten CPUID instructions (0f a2) to UD2 (0f 0b) sets FAKE_CPU_TRAP=ud2 instead; then SIGILL
 * is answered the same way.
 *
 * Build: cc -shared -fPIC -O1 -o fake_cpu.so fake_cpu.c     Use: LD_PRELOAD=./fake_cpu.so program
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define STATUS_SKIP 77

struct registers {
    unsigned a, b, c, d;
};

static int hides_avx512, traps_ud2;
static const char *vendor;
static unsigned signature, cache_kib[4];

/* A bare system call: nothing of the C library may run inside the signal handler. */
static long set_cpuid_enabled(unsigned long enabled) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_arch_prctl), "D"((long)ARCH_SET_CPUID), "S"(enabled)
                     : "rcx", "r11", "memory");
    return result;
}

static struct registers real_cpuid(unsigned leaf, unsigned subleaf) {
    struct registers r;
    if (!traps_ud2) set_cpuid_enabled(1);
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    if (!traps_ud2) set_cpuid_enabled(0);
    return r;
}

static void clear_bits(unsigned *word, const unsigned char *bits, int n) {
    for (int i = 0; i < n; i++) *word &= ~(1u << bits[i]);
}

static void hide_avx512(struct registers *r, unsigned subleaf) {
    static const unsigned char b0[] = {16, 17, 21, 26, 27, 28, 30, 31}, c0[] = {1, 6, 11, 12, 14},
                               d0[] = {2, 3, 8, 22, 23, 24, 25}, a1[] = {4, 5, 21, 23},
                               d1[] = {4, 5, 10};
    if (subleaf == 0) {
        clear_bits(&r->b, b0, sizeof b0);
        clear_bits(&r->c, c0, sizeof c0);
        clear_bits(&r->d, d0, sizeof d0);
    } else if (subleaf == 1) {
        clear_bits(&r->a, a1, sizeof a1);
        clear_bits(&r->d, d1, sizeof d1);
    }
}

/* Leaf 4 and 0x8000001d: lines, partitions and ways are counted from 0, and so are sets. */
static void resize_cache(struct registers *r) {
    unsigned type = r->a & 31, level = (r->a >> 5) & 7;
    if (type == 0 || type == 2 || level > 3 || cache_kib[level] == 0) return;
    unsigned ways = ((r->b >> 22) & 1023) + 1, partitions = ((r->b >> 12) & 1023) + 1;
    unsigned line = (r->b & 4095) + 1;
    r->c = cache_kib[level] * 1024u / (ways * partitions * line) - 1;
}

static struct registers answer(unsigned leaf, unsigned subleaf) {
    struct registers r = real_cpuid(leaf, subleaf);
    int describes_cache = leaf == 4 || leaf == 0x8000001du;
    if (describes_cache && r.a == 0) /* the other maker's leaf, with the same layout */
        r = real_cpuid(leaf == 4 ? 0x8000001du : 4, subleaf);
    if ((leaf == 0 || leaf == 0x80000000u) && vendor) {
        memcpy(&r.b, vendor, 4);
        memcpy(&r.d, vendor + 4, 4);
        memcpy(&r.c, vendor + 8, 4);
    }
    if (leaf == 1 && signature) r.a = signature;
    if (leaf == 7 && hides_avx512) hide_avx512(&r, subleaf);
    if (describes_cache) resize_cache(&r);
    if (leaf == 0x80000005u && cache_kib[1]) r.c = (r.c & 0xffffff) | cache_kib[1] << 24;
    if (leaf == 0x80000006u && cache_kib[2]) r.c = (r.c & 0xffff) | cache_kib[2] << 16;
    if (leaf == 0x80000006u && cache_kib[3]) r.d = (r.d & 0x3ffff) | (cache_kib[3] / 512) << 18;
    return r;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)g[REG_RIP];
    unsigned char second = traps_ud2 ? 0x0b : 0xa2;
    (void)info;
    if (code[0] != 0x0f || code[1] != second) { /* a fault of the program's own */
        signal(number, SIG_DFL);
        return;
    }
    struct registers r = answer((unsigned)g[REG_RAX], (unsigned)g[REG_RCX]);
    g[REG_RAX] = r.a;
    g[REG_RBX] = r.b;
    g[REG_RCX] = r.c;
    g[REG_RDX] = r.d;
    g[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAKE_CPU_VENDOR");
    if (text && strlen(text) == 12) vendor = text;
    if ((text = getenv("FAKE_CPU_SIGNATURE"))) signature = (unsigned)strtoul(text, NULL, 16);
    if ((text = getenv("FAKE_CPU_CACHES")))
        sscanf(text, "%u,%u,%u", &cache_kib[1], &cache_kib[2], &cache_kib[3]);
    hides_avx512 = getenv("FAKE_CPU_HIDE_AVX512") != NULL;
    traps_ud2 = (text = getenv("FAKE_CPU_TRAP")) && strcmp(text, "ud2") == 0;

    struct sigaction action = {0};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(traps_ud2 ? SIGILL : SIGSEGV, &action, NULL);
    if (!traps_ud2 && set_cpuid_enabled(0) != 0) _exit(STATUS_SKIP);
}
