"""What the loaders of other trainers know, from their published sources, and what a target has written for them."""

from __future__ import annotations

from typing import Any

import yaml

from engine.handoff.deliver import TARGETS

TEXT, WHOLE, NUMBER, FLAG = str, int, (int, float), bool

TRAINER: dict[str, Any] = {
    "num_train_epochs": NUMBER, "max_steps": WHOLE, "per_device_train_batch_size": WHOLE,
    "gradient_accumulation_steps": WHOLE, "learning_rate": NUMBER, "optim": TEXT, "weight_decay": NUMBER,
    "lr_scheduler_type": {"cosine", "linear", "constant_with_warmup", "cosine_with_min_lr"},
    "lr_scheduler_kwargs": dict, "adam_beta1": NUMBER, "adam_beta2": NUMBER, "max_grad_norm": NUMBER, "bf16": FLAG,
    "seed": WHOLE, "save_strategy": {"no", "steps"}, "save_steps": NUMBER, "save_total_limit": WHOLE,
    "report_to": {"none", "tensorboard", "wandb"}, "neftune_noise_alpha": NUMBER, "output_dir": TEXT,
}  # fmt: skip
"""transformers.TrainingArguments, 4.55 to 5.19."""

LLAMAFACTORY: dict[str, Any] = TRAINER | {
    "do_train": FLAG, "warmup_ratio": NUMBER,
    # ModelArguments
    "model_name_or_path": TEXT, "model_revision": TEXT, "train_from_scratch": FLAG,
    "disable_gradient_checkpointing": FLAG, "quantization_bit": WHOLE, "double_quantization": FLAG,
    # DataArguments
    "dataset": TEXT, "dataset_dir": TEXT, "cutoff_len": WHOLE, "train_on_prompt": FLAG, "mask_history": FLAG,
    "packing": FLAG, "neat_packing": FLAG,
    # FinetuningArguments
    "stage": {"pt", "sft", "rm", "ppo", "dpo", "kto"}, "finetuning_type": {"lora", "oft", "freeze", "full"},
    "lora_rank": WHOLE, "lora_alpha": WHOLE, "lora_dropout": NUMBER, "lora_target": TEXT,
    "pref_beta": NUMBER, "pref_ftx": NUMBER, "dpo_label_smoothing": NUMBER, "simpo_gamma": NUMBER,
    "pref_loss": {"sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"},
}  # fmt: skip
"""llamafactory 0.9.5: hparams/{model,data,finetuning}_args.py; warmup_ratio is of the transformers that it allows."""

DATASET_INFO = {
    "ranking": FLAG,
    "file_name": TEXT,
    "formatting": {"alpaca", "sharegpt", "openai"},
    "columns": dict,
    "tags": dict,
}
TAGS = {"role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"}
"""llamafactory 0.9.5: data/parser.py."""

AXOLOTL: dict[str, Any] = {
    "base_model": TEXT, "revision_of_model": TEXT, "reinit_weights": FLAG, "datasets": list,
    "chat_template": {"tokenizer_default", "jinja"}, "chat_template_jinja": TEXT, "dataset_prepared_path": TEXT,
    "train_on_inputs": FLAG, "sequence_len": WHOLE, "sample_packing": FLAG, "attn_implementation": TEXT,
    "excess_length_strategy": {"drop", "truncate", "raise"}, "num_epochs": NUMBER, "max_steps": WHOLE,
    "micro_batch_size": WHOLE, "gradient_accumulation_steps": WHOLE, "learning_rate": NUMBER,
    "lr_scheduler": {"cosine", "linear", "constant_with_warmup"}, "cosine_min_lr_ratio": NUMBER,
    "warmup_ratio": NUMBER, "optimizer": {"adamw_torch"}, "weight_decay": NUMBER, "adam_beta1": NUMBER,
    "adam_beta2": NUMBER, "max_grad_norm": NUMBER, "adapter": {"lora", "qlora"}, "load_in_4bit": FLAG,
    "load_in_8bit": FLAG,
    "lora_r": WHOLE, "lora_alpha": WHOLE,
    "lora_dropout": NUMBER, "lora_target_linear": FLAG, "lora_target_modules": list, "bf16": {"auto", True, False},
    "gradient_checkpointing": FLAG, "seed": WHOLE, "val_set_size": NUMBER, "save_strategy": {"no", "steps"},
    "save_steps": NUMBER, "save_total_limit": WHOLE, "use_tensorboard": FLAG, "use_wandb": FLAG,
    "neftune_noise_alpha": NUMBER, "rl": {"dpo"}, "rl_beta": NUMBER, "dpo_loss_type": list, "dpo_loss_weights": list,
    "dpo_label_smoothing": NUMBER, "output_dir": TEXT,
}  # fmt: skip
"""axolotl 0.19: utils/schemas/{config,model,training,peft,integrations}.py."""

AXOLOTL_DATASET: dict[str, Any] = {
    "path": TEXT, "ds_type": {"parquet"}, "type": {"chat_template"}, "field_messages": TEXT,
    "message_property_mappings": dict, "roles_to_train": list, "train_on_eos": {"all", "turn", "last", "none"},
    "chat_template": {"tokenizer_default", "jinja"}, "chat_template_jinja": TEXT,
}  # fmt: skip
"""axolotl 0.19: SFTDataset of utils/schemas/datasets.py."""

AXOLOTL_PAIRS = {
    "path": TEXT, "split": TEXT, "type": {"chat_template.default"}, "field_messages": TEXT, "field_chosen": TEXT,
    "field_rejected": TEXT,
}  # fmt: skip
"""axolotl 0.19: DPODataset of utils/schemas/datasets.py."""


def written(target: str, cargo) -> dict[str, Any]:
    TARGETS[target].write(cargo)
    return yaml.safe_load((cargo.folder / f"{cargo.order.trainer}.yaml").read_text(encoding="utf-8"))


def check(config: dict[str, Any], known: dict[str, Any]) -> None:
    for key, value in config.items():
        allowed = known[key]
        assert value in allowed if isinstance(allowed, set) else isinstance(value, allowed), (key, value)
