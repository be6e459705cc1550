"""Models of one's own: what is accepted, what is refused, and that they are models like others."""

import keras
import numpy as np
import pytest

from src.config import Config, ConfigError, ModelConfig
from src.vae.factories import layers, networks
from src.vae.model import VAE
from tests.vae import own

PIXELS, LATENT = 16, 2

WRONG = {
    "not_there": "no attribute 'not_there'",
    "Networks": "it is defined in builtins",
    "one_model": "it returns no pair of models",
    "fewer_pixels": "its decoder gives [(2, 15)] for (2, 2)",
    "without_seed": "unexpected keyword argument 'seed'",
    "raising": "ZeroDivisionError: no model today",
    "leaving": "SystemExit",
    "unseeded": "its initial weights depend on more than the seed",
    "dropout": "its encoder differs between training and prediction, see layers ['forgetful']",
    "batch_normalization": "its decoder differs between training and prediction, see layers ['whole_batch']",
    "mixing": "its encoder mixes images",
    "regularized": "its decoder has losses",
    "named_as_a_part": "'all'",
}


@pytest.mark.parametrize("name", WRONG)
def test_an_unfit_factory_is_refused_with_the_reason(name):
    factory = f"{own.__name__}:{name}"
    with pytest.raises(ConfigError) as refused:
        networks(factory, PIXELS, LATENT, seed=0)
    before, _, after = str(refused.value).partition(f"Received: model.factory={factory} (")
    assert before.startswith("model.factory must be a function ")
    assert WRONG[name] in after
    assert after.endswith("See docs/own_model.md.")


@pytest.mark.parametrize("factory", [f"{own.__name__}:sound", f"{own.__name__}:linear", "src.vae.conv:build"])
def test_a_model_of_ones_own_predicts_is_saved_and_loaded_and_depends_on_its_seed(factory, tmp_path):
    vae = VAE(mc_samples=3, pixels=PIXELS, latent_dim=LATENT, seed=4, factory=factory)
    images = np.random.default_rng(1).random((5, PIXELS), np.float32)
    assert vae.predict(images, verbose=0).shape == (5, 3, PIXELS)
    vae.encoder.weights[0].assign_add(np.ones(vae.encoder.weights[0].shape))
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert loaded.settings == vae.settings
    for one, two in zip(loaded.weights[:-1], vae.weights[:-1], strict=True):
        np.testing.assert_array_equal(one, two)
    starts = [networks(factory, PIXELS, LATENT, seed).encoder.get_weights()[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()


@pytest.mark.parametrize("factory", [f"{own.__name__}:linear", "src.vae.conv:build"])
def test_a_decoder_without_an_axis_of_draws_decodes_each_draw_by_itself(factory):
    vae = VAE(pixels=PIXELS, latent_dim=LATENT, factory=factory)
    assert not vae.draw_axis
    z = np.random.default_rng(2).normal(size=(4, 3, LATENT)).astype(np.float32)
    output = np.asarray(vae.decode(z))
    assert output.shape == (4, 3, PIXELS)
    for k in range(3):
        np.testing.assert_allclose(output[:, k], vae.decoder(z[:, k]), rtol=1e-5, atol=1e-6)


def test_the_record_names_layers_by_their_own_names_or_by_place_where_keras_numbers_them():
    numbered = networks(f"{own.__name__}:sound", PIXELS, LATENT, seed=0)
    assert [name for name, _ in layers(numbered.encoder, "encoder")] == ["encoder_0", "encoder_1", "encoder_2"]
    conv = networks("src.vae.conv:build", PIXELS, LATENT, seed=0)
    assert [name for name, _ in layers(conv.decoder, "decoder")] == ["decoder_0", "decoder_1", "output"]


def test_pixel_means_need_a_bias_for_every_pixel():
    VAE(pixels=PIXELS, factory=f"{own.__name__}:linear").predict_from_the_start(np.full(PIXELS, 0.2))
    with pytest.raises(
        ConfigError, match=r"^model\.output_bias must be zeros where .* Set model\.output_bias=zeros\.$"
    ):
        VAE(pixels=PIXELS, factory="src.vae.conv:build").predict_from_the_start(np.full(PIXELS, 0.2))


def test_conv_says_which_images_it_takes():
    with pytest.raises(ConfigError, match="square images whose side is a multiple of 4, received 50 pixels"):
        networks("src.vae.conv:build", 50, LATENT, seed=0)


def test_the_initial_weights_of_a_run_are_the_same_for_every_k_and_batch_size():
    config = ModelConfig(factory="src.vae.conv:build")
    one, many = (
        VAE.from_settings(Config(mc_samples=k, batch_size=b, model=config), 784) for k, b in ((1, 100), (5, 30))
    )
    for first, second in zip(one.trainable_variables, many.trainable_variables, strict=True):
        np.testing.assert_array_equal(first, second)
