/* bench_phases.c - what a decode step that is one kernel spends its time on, phase by phase
 * (bench.h). The consumers' times of a phase add up to all of it; the ring and the finisher are
 * other warps, which work beside them. */
#include <stdio.h>

#include "bench.h"

static const char *const names[SINTER_STEP_PHASES] = {"qkv",     "attention", "o",
                                                      "gate_up", "down",      "head"};

static double computing(const GpuPhase *p)
{
    return p->all - p->of_x - p->of_weights - p->of_sums;
}

static void print_phase(const char *name, const GpuPhase *p, int steps)
{
    double us = 1e6 / steps;
    printf("%-10s %9.2f %9.2f %9.2f %9.2f %9.2f | %9.2f %9.2f\n", name, p->all * us, p->of_x * us,
           p->of_weights * us, p->of_sums * us, computing(p) * us, p->of_ring * us,
           p->finishing * us);
}

static void add(GpuPhase *sum, const GpuPhase *p)
{
    sum->all += p->all;
    sum->of_x += p->of_x;
    sum->of_weights += p->of_weights;
    sum->of_sums += p->of_sums;
    sum->of_ring += p->of_ring;
    sum->finishing += p->finishing;
}

void bench_print_phases(const BenchProfile *p)
{
    GpuPhase sum = {0};
    if (!p->stamps.whole)
        return;
    printf("\ninside the step's kernel, us a step, a multiprocessor's average\n"
           "%-10s %9s %9s %9s %9s %9s | %9s %9s\n",
           "phase", "all", "for x", "weights", "sums", "computing", "ring full", "finishing");
    for (int i = 0; i < SINTER_STEP_PHASES; i++) {
        print_phase(names[i], &p->stamps.phase[i], p->steps);
        add(&sum, &p->stamps.phase[i]);
    }
    print_phase("sum", &sum, p->steps);
}

void bench_print_json_phases(const BenchProfile *p)
{
    if (!p->stamps.whole)
        return;
    fputs(", \"phases\": [", stdout);
    for (int i = 0; i < SINTER_STEP_PHASES; i++) {
        const GpuPhase *x = &p->stamps.phase[i];
        double s = 1.0 / p->steps;
        printf("%s{\"phase\": \"%s\", \"seconds\": %.9f, \"for_x\": %.9f, \"for_weights\": %.9f, "
               "\"for_sums\": %.9f, \"computing\": %.9f, \"ring_full\": %.9f, "
               "\"finishing\": %.9f}",
               i ? ", " : "", names[i], x->all * s, x->of_x * s, x->of_weights * s, x->of_sums * s,
               computing(x) * s, x->of_ring * s, x->finishing * s);
    }
    putchar(']');
}
