"""Which configurations share compiled programs."""

from aecf_jax.config import AECFConfig


def program_config(config: AECFConfig) -> AECFConfig:
    """Returns the configuration with everything at its default that no compiled program depends on.

    Args:
        config: all settings.

    >>> program_config(AECFConfig(seed=3)) == program_config(AECFConfig(seed=4))
    True
    """
    default = AECFConfig()
    return config.update(
        seed=default.seed,
        batch_size=default.batch_size,
        val_check_interval=default.val_check_interval,
        early_stopping_patience=default.early_stopping_patience,
        early_stopping_min_delta=default.early_stopping_min_delta,
        keep_checkpoints=default.keep_checkpoints,
        checkpoint_dir=default.checkpoint_dir,
        log_dir=default.log_dir,
        trainer_kwargs=default.trainer_kwargs,
    )
