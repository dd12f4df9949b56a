"""The answers of questions.mjs fed to llama.cpp: what it would have said at each place. JSON in (--asked FILE), JSON out."""
import argparse
import json

import llama_cpp
import numpy as np

ap = argparse.ArgumentParser()
for name in ('model', 'asked'):
    ap.add_argument('--' + name)
ap.add_argument('--threads', type=int)
A = ap.parse_args()
with open(A.asked) as f:
    asked = json.load(f)
llm = llama_cpp.Llama(A.model, n_ctx=1024, n_batch=512, n_threads=A.threads, n_threads_batch=A.threads, logits_all=True, verbose=False)
answers = []
for prompt, given in zip(asked['prompts'], asked['given']):
    llm.reset()
    llm.eval(prompt + given[:-1])
    rows = llm.scores[len(prompt) - 1:len(prompt) - 1 + len(given)].astype(np.float64)
    top = rows.max(1)
    own = rows[np.arange(len(given)), given] - top - np.log(np.exp(rows - top[:, None]).sum(1))
    answers.append({'likeliest': rows.argmax(1).tolist(), 'logProbabilities': own.tolist()})
print(json.dumps({'version': llama_cpp.__version__, 'answers': answers}))
