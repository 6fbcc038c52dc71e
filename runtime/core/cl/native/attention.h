/* attention.h - attention and its gradients on a CPU, for the candidate "native": the ops of graph/ops/attention.c.
 *
 *   cal_prepared p = {0};
 *   cal_status prepare(const cal_site *site, const cal_step *step, cal_error *err) {
 *     return cal_native_attention(site, step, &p, err);
 *   }
 *
 * q [B, Tq, H, d], k [B, Tk, H, d] and v [B, Tk, H, e] in any float dtype and with any strides; sums and exponentials are f32. What is
 * worked in is the plan's scratch memory: some hundred KB for each piece of work, of which each thread has at most four, and the
 * rows of a head as floats where they are stored otherwise. Nothing of size Tq x Tk.
 * uses: base graph
 */
#ifndef CAL_CL_NATIVE_ATTENTION_H
#define CAL_CL_NATIVE_ATTENTION_H

#include "core/cl/candidates.h"

/* CAL_E_MEMORY is the only failure of both. */
cal_status cal_native_attention(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err);
cal_status cal_native_attention_dqkv(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err);

#endif
