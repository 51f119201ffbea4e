"""Calls a studio with webuiapi; prints what came back as JSON."""

import base64
import io
import json
import sys
import threading
import time

import webuiapi
from PIL import Image

host, port, token, photo = sys.argv[1:]
api = webuiapi.WebUIApi(host=host, port=int(port), sampler="DDIM", username="studio", password=token)
reference = Image.open(io.BytesIO(base64.b64decode(photo)))
references = webuiapi.b64_img(reference)


def error_of(call):
    try:
        call()
    except RuntimeError as error:
        status, text = error.args
        return [status, json.loads(text)]
    raise AssertionError("no error")


def made(result):
    return {
        "sizes": [image.size for image in result.images],
        "info": result.info,
        "parameters": result.parameters,
        "texts": [image.info.get("prompt") for image in result.images],
    }


plain = api.txt2img(prompt="a house", width=64, height=64)
person = api.txt2img(
    prompt="a man",
    negative_prompt="a hat",
    seed=7,
    steps=4,
    cfg_scale=3,
    width=128,
    height=64,
    batch_size=2,
    n_iter=2,
    override_settings={"randn_source": "CPU", "sd_model_checkpoint": "drawn"},
    alwayson_scripts={"masterweaver": {"args": [references, {"id_scale": 0.5}]}},
)

second = api.txt2img(
    prompt="a house", width=64, height=64, steps=4, sampler_name="DPM++ 2M Karras",
    enable_hr=True, hr_scale=2, hr_upscaler=webuiapi.HiResUpscaler.Latent, hr_second_pass_steps=4,
    controlnet_units=[webuiapi.ControlNetUnit(image=reference, module="none", model="canny")],
)
repainted = api.img2img(
    images=[reference], mask_image=reference.convert("L"), mask_blur=2, inpainting_fill=1,
    denoising_strength=0.5, prompt="a house", width=64, height=64, steps=4, sampler_name="Euler a",
)
larger = api.extra_single_image(reference, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=3)

# Progress and interrupt, while another request runs.
results = []
thread = threading.Thread(
    target=lambda: results.append(api.txt2img(prompt="slow", steps=1000, width=64, height=64))
)
thread.start()
progress = api.get_progress()
until = time.time() + 20
while progress["current_image"] is None and time.time() < until:
    progress = api.get_progress()
api.interrupt()
thread.join(20)

print(
    json.dumps(
        {
            "plain": made(plain),
            "person": made(person),
            "second": made(second),
            "repainted": made(repainted),
            "larger": larger.image.size,
            "controlnet": [api.controlnet_version(), api.controlnet_model_list(), api.controlnet_module_list()],
            "progress": progress,
            "interrupted": made(results[0]),
            "idle": api.get_progress(),
            "options": api.get_options(),
            "set": api.set_options({"sd_model_checkpoint": api.get_options()["sd_model_checkpoint"]}),
            "lists": {
                "samplers": api.get_samplers(),
                "schedulers": api.get_schedulers(),
                "models": api.get_sd_models(),
                "upscalers": api.get_upscalers(),
                "modes": api.get_latent_upscale_modes(),
                "vae": api.get_sd_vae(),
                "loras": api.get_loras(),
                "hypernetworks": api.get_hypernetworks(),
                "restorers": api.get_face_restorers(),
                "realesrgan": api.get_realesrgan_models(),
                "styles": api.get_prompt_styles(),
                "scripts": api.get_scripts(),
                "embeddings": api.get_embeddings(),
                "memory": api.get_memory(),
                "flags": api.get_cmd_flags(),
            },
            "refreshed": api.refresh_checkpoints(),
            "skipped": api.skip(),
            "png info": api.png_info(person.images[0]).json,
            "errors": {
                "sampler": error_of(lambda: api.txt2img(prompt="a", sampler_name="LMS")),
                "tiling": error_of(lambda: api.txt2img(prompt="a", tiling=True)),
                "size": error_of(lambda: api.txt2img(prompt="a", width=63)),
                "img2img": error_of(lambda: api.img2img(images=[reference, reference], prompt="a")),
                "token": error_of(
                    lambda: webuiapi.WebUIApi(host=host, port=int(port), username="a", password="b").txt2img(prompt="a")
                ),
            },
        }
    )
)
