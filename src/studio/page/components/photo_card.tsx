/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A reference photo with its faces, and the encoder's view beside it.
 *
 * @module
 */
import type { FaceResource } from "../../wire/resources.ts";
import type { Photo } from "../state/photos.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { errorText } from "./error_text.ts";
import { IconButton } from "./icon_button.tsx";
import { Icon } from "./icons.tsx";
import { SettingsOffer } from "./settings_offer.tsx";

/** What a component about one photo is given. */
interface PhotoProps {
  readonly photo: Photo;
  readonly index: number;
}

/** A reference photo. */
export function PhotoCard({ photo, index }: PhotoProps) {
  const { photos } = useStudio();
  const words = text.value.photos;
  const found = photo.faces.value;
  // Small faces are hard to hit: a group has all the room there is.
  const isGroup = found.state === "there" && found.value.faces.length > 1;
  return (
    <li class={isGroup ? "photo group" : "photo"}>
      <div class="photo-frame">
        <div class="photo-box">
          <img
            src={photo.url}
            width={photo.width}
            height={photo.height}
            alt={words.alt(index + 1)}
          />
          <FaceBoxes photo={photo} index={index} />
        </div>
      </div>
      <span class="photo-arrow">
        <Icon name="arrow" />
      </span>
      <EncoderView photo={photo} index={index} />
      <div class="photo-foot">
        <div role="status">
          <FaceNote photo={photo} />
        </div>
        <PhotoButtons photo={photo} index={index} />
      </div>
      <SettingsOffer
        texts={photo.texts}
        onUsed={() => photos.remove(photo)}
      />
    </li>
  );
}

/** Whether faces are cut out and aligned. */
function useAligns({ faces }: Photo): boolean {
  const { form } = useStudio();
  const found = faces.value;
  return form.choices().align ??
    (found.state === "there" && found.value.aligns);
}

/** The faces, on the photo itself; one can be picked where there are several. */
function FaceBoxes({ photo, index }: PhotoProps) {
  const found = photo.faces.value;
  const aligns = useAligns(photo);
  // What cannot be picked should not look as if it could.
  if (found.state !== "there" || found.value.faces.length === 0 || !aligns) {
    return null;
  }
  const { faces, width, height } = found.value;
  const place = ({ rect }: FaceResource) => ({
    left: `${100 * rect.left / width}%`,
    top: `${100 * rect.top / height}%`,
    width: `${100 * (rect.right - rect.left + 1) / width}%`,
    height: `${100 * (rect.bottom - rect.top + 1) / height}%`,
  });
  if (faces.length === 1) {
    return <span class="face-box chosen" style={place(faces[0])} />;
  }
  const words = text.value.photos;
  const chosen = photo.face.value ?? 0;
  return (
    <div role="radiogroup" aria-label={words.pickFace(index + 1)}>
      {faces.map((face, i) => (
        <label
          key={i}
          class={i === chosen ? "face-box pick chosen" : "face-box pick"}
          style={place(face)}
        >
          <input
            type="radio"
            class="unseen"
            name={`face-${photo.key}`}
            aria-label={words.face(i + 1, faces.length)}
            checked={i === chosen}
            onChange={() => photo.face.value = i}
          />
        </label>
      ))}
    </div>
  );
}

/** What the encoder sees: the aligned face at first, then what is left of it. */
function EncoderView({ photo, index }: PhotoProps) {
  const { photos, encoderView, isBusy } = useStudio();
  const aligns = useAligns(photo);
  const words = text.value.photos;
  const found = photo.faces.value;
  const seen = encoderView.value[index];
  if (seen) {
    return (
      <figure class="encoder">
        <img src={seen.url} alt={words.encoderFace(index + 1)} />
        <figcaption>{words.faces}</figcaption>
      </figure>
    );
  }
  const aligned = aligns && found.state === "there"
    ? found.value.faces[photo.face.value ?? 0]?.aligned
    : undefined;
  const isWaiting = photos.identity.value?.state === "waiting";
  return (
    <figure class={isWaiting ? "encoder waiting" : "encoder"}>
      {aligned ? <img src={aligned} alt="" /> : <span class="encoder-empty" />}
      <figcaption>
        {!isWaiting
          ? words.faces
          : isBusy.value
          ? words.encodingLater
          : words.encoding}
      </figcaption>
    </figure>
  );
}

/** What was found, in a line. */
function FaceNote({ photo }: { photo: Photo }) {
  const { photos, connection } = useStudio();
  const aligns = useAligns(photo);
  const words = text.value.photos;
  const found = photo.faces.value;
  if (found.state === "waiting") return <p class="hint">{words.looking}</p>;
  if (found.state === "failed") {
    return (
      <div class="fault">
        <p>{errorText(found.error, text.value)}</p>
        <button type="button" onClick={() => photos.askAgain()}>
          {words.tryAgain}
        </button>
      </div>
    );
  }
  const count = found.value.faces.length;
  if (!aligns) {
    const detects = connection.model.value?.faces.detects ?? false;
    return (
      <>
        {detects && count !== 1 && (
          <p class="fault">
            {count === 0 ? words.noFaceWhole : words.severalWhole(count)}
          </p>
        )}
        <p class="hint">{words.wholePhoto}</p>
      </>
    );
  }
  if (count === 0) return <p class="fault">{words.noFace}</p>;
  return (
    <p class="hint">
      {count === 1 ? words.oneFace : words.severalFaces(count)}
    </p>
  );
}

function PhotoButtons({ photo, index }: PhotoProps) {
  const { photos } = useStudio();
  const words = text.value.photos;
  const count = photos.list.value.length;
  const number = index + 1;
  return (
    <div class="photo-buttons">
      {index > 0 && (
        <IconButton
          icon="earlier"
          label={words.moveEarlier(number)}
          onClick={() => photos.move(photo, -1)}
        />
      )}
      {index < count - 1 && (
        <IconButton
          icon="later"
          label={words.moveLater(number)}
          onClick={() => photos.move(photo, 1)}
        />
      )}
      <IconButton
        icon="close"
        label={words.remove(number)}
        onClick={() => photos.remove(photo)}
      />
    </div>
  );
}
