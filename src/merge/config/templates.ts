/** @file Chat templates that a recipe can name: the published formats of conversations, as Jinja (trimmed blocks). */

const lines = (...parts: string[]): string => parts.join('')

/** By the names that mergekit has. */
export const chatTemplates: Readonly<Record<string, string>> = {
  /** <|im_start|>role⏎content<|im_end|>⏎ */
  chatml: lines(
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ),
  /** Headers with the role, two line feeds, the content, <|eot_id|>. */
  llama3: lines(
    "{% for message in messages %}{{ (bos_token if loop.first else '') + '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
  ),
  /** [INST] … [/INST] answer</s>; the system message stands before the first question. */
  mistral: lines(
    "{% set has_system = messages[0]['role'] == 'system' %}{% set turns = messages[1:] if has_system else messages %}{{ bos_token }}",
    "{% for message in turns %}{% if message['role'] != ('assistant' if loop.index0 % 2 else 'user') %}",
    "{{ raise_exception('Roles must alternate: user, assistant, user, …, after an optional system message') }}{% endif %}",
    "{% if message['role'] == 'user' %}{{ ' [INST] ' + ((messages[0]['content'] + '\\n\\n') if has_system and loop.first else '') + message['content'] + ' [/INST]' }}",
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}",
  ),
  /** [|role|]content, [|endofturn|] after system and assistant. */
  exaone: lines(
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}",
    "{{ '[|' + message['role'] + '|]' + message['content'] + ('\\n' if message['role'] == 'user' else '[|endofturn|]\\n') }}{% endfor %}",
    "{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}",
  ),
  /** ### Instruction: and ### Response:, the system message first. */
  alpaca: lines(
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] | trim + '\\n\\n' }}",
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] | trim + '\\n\\n' }}",
    "{% elif message['role'] == 'user_context' %}{{ '### Input:\\n' + message['content'] | trim + '\\n\\n' }}",
    "{% elif message['role'] == 'assistant' %}{{ '### Response:\\n' + message['content'] | trim + '\\n\\n' }}{% endif %}{% endfor %}",
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}",
  ),
}
