"""Calls a studio with OpenAI's client; prints what came back as JSON."""

import base64
import io
import json
import sys

import openai

url, token, photo = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)


def error_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.param, error.code]
    raise AssertionError("no error")


def image_file():
    return ("photo.png", io.BytesIO(base64.b64decode(photo)), "image/png")


def events_of(stream):
    return [
        {
            "type": event.type,
            "index": getattr(event, "partial_image_index", None),
            "png": base64.b64decode(event.b64_json)[1:4].decode(),
            "size": event.size,
            "created": event.created_at,
        }
        for event in stream
    ]


edited = client.images.edit(image=image_file(), prompt="a man in the snow")
three = client.images.edit(
    image=[image_file(), image_file(), image_file()],
    prompt="a man",
    n=2,
    size="128x64",
    extra_body={"masterweaver": {"steps": 3, "id_scale": 0.5, "guidance_range": [0, 0.5]}},
)
generated = client.images.generate(prompt="a house", output_format="jpeg")
partials = events_of(
    client.images.edit(
        image=[image_file()], prompt="a man", stream=True, partial_images=2
    )
)
stranger = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)

print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "model": client.models.retrieve("drawn").owned_by,
            "edited": edited.to_dict(),
            "three": three.to_dict(),
            "generated": generated.to_dict(),
            "partials": partials,
            "errors": {
                "mask": error_of(
                    lambda: client.images.edit(
                        image=image_file(), prompt="a man", mask=image_file()
                    )
                ),
                "four": error_of(
                    lambda: client.images.edit(
                        image=[image_file()] * 4, prompt="a man"
                    )
                ),
                "no photo": error_of(
                    lambda: client.images.edit(image=b"no photo", prompt="a man")
                ),
                "size": error_of(
                    lambda: client.images.generate(prompt="a man", size="1x1")
                ),
                "model": error_of(
                    lambda: client.images.generate(prompt="a man", model="dall-e-3")
                ),
                "token": error_of(lambda: stranger.models.list()),
            },
        }
    )
)
