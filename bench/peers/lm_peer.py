"""Serves Transformers in f32 or llama.cpp to lm.mjs, by the protocol of lib/protocol.mjs: a step is a token, or a prefill of 64."""
import argparse
import json
import sys
import time

ap = argparse.ArgumentParser()
for name in ('model', 'peer', 'task'):
    ap.add_argument('--' + name)
ap.add_argument('--threads', type=int)
ap.add_argument('--from', dest='first', type=int, default=64)
ap.add_argument('--to', type=int, default=192)
A = ap.parse_args()
prompt = [1000 + i for i in range(64)]
started = time.perf_counter()


def megabytes():
    with open('/proc/self/status') as f:
        return next(int(line.split()[1]) / 1000 for line in f if line.startswith('VmRSS'))


if A.peer == 'llama.cpp':
    import llama_cpp

    llm = llama_cpp.Llama(A.model, n_ctx=1024, n_batch=512, n_threads=A.threads, n_threads_batch=A.threads, verbose=False)

    def prefill():
        llm.reset()
        llm.eval(prompt)
        return float(llm._ctx.get_logits()[0])

    def token(i):
        if llm.n_tokens >= A.to:
            # what is beyond is forgotten by eval
            llm.n_tokens = A.first
        llm.eval([1000 + i % 1000])
        return float(llm._ctx.get_logits()[0])

    def more(count):
        llm.eval(prompt[:count])
        return llm.n_tokens
    version = llama_cpp.__version__
else:
    import numpy as np
    import torch
    import transformers
    from gguf import GGUFReader, dequantize

    torch.set_num_threads(A.threads)
    raw = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).astype(np.float32)) for t in GGUFReader(A.model).tensors}

    def half_split(w, heads):
        d = w.shape[0] // heads
        return w.reshape(heads, d // 2, 2, -1).swapaxes(1, 2).reshape(w.shape).contiguous()
    state = {'model.embed_tokens.weight': raw['token_embd.weight'], 'model.norm.weight': raw['output_norm.weight'],
             'lm_head.weight': raw['token_embd.weight']}
    names = {'attn_norm': 'input_layernorm', 'ffn_norm': 'post_attention_layernorm', 'attn_q': 'self_attn.q_proj',
             'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj', 'attn_output': 'self_attn.o_proj',
             'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj'}
    for layer in range(30):
        for own, theirs in names.items():
            w = raw[f'blk.{layer}.{own}.weight']
            if own in ('attn_q', 'attn_k'):
                w = half_split(w, 9 if own == 'attn_q' else 3)
            state[f'model.layers.{layer}.{theirs}.weight'] = w
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True))
    model.load_state_dict(state, strict=False)
    model = model.float().eval()
    del raw, state
    cache = None
    torch.set_grad_enabled(False)

    def prefill():
        global cache
        out = model(torch.tensor([prompt]), use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        return float(out.logits[0, -1, 0])

    def token(i):
        if cache.get_seq_length() >= A.to:
            cache.crop(A.first)
        out = model(torch.tensor([[1000 + i % 1000]]), past_key_values=cache, use_cache=True)
        return float(out.logits[0, -1, 0])

    def more(count):
        model(torch.tensor([prompt[:count]]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache.get_seq_length()
    version = transformers.__version__

prefill()
setup = time.perf_counter() - started
length = len(prompt)
while length < A.first:
    length = more(A.first - length)
step = (lambda i: prefill()) if A.task == 'prefill' else token
count = 0


def run(steps):
    global count
    start = time.perf_counter()
    for _ in range(steps):
        loss = step(count)
        count += 1
    return {'seconds': time.perf_counter() - start, 'steps': steps, 'loss': loss}


run(3)
print(json.dumps({'ready': True, 'version': version, 'setupSeconds': setup, 'megabytes': megabytes()}), flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == 'quit':
        break
    print(json.dumps(run(int(rest[0]))), flush=True)
