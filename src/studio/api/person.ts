/**
 * Checks how photos of a person are to be looked at, before anything waits for
 * the GPU.
 *
 * @module
 */
import { checkChoices } from "../../identity/references.ts";
import type { Person } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import type { ModelResource } from "../wire/resources.ts";

/**
 * Checks the choices against the number of photos, and against what the model
 * can do. Where a face is only preferred the library warns instead.
 *
 * @throws {MasterWeaverError} `bad-option`; {ApiError} 400 `bad-request`
 */
export function checkPerson(
  { photos, choices }: Person,
  { alignFaces, faces, maxReferences }: Pick<
    ModelResource,
    "alignFaces" | "faces" | "maxReferences"
  >,
): void {
  if (maxReferences === 0) {
    throw new ApiError(
      400,
      "bad-request",
      "Field references cannot be used: this server's model follows no identities; leave the photos out, or serve a model with an identity adapter",
      { field: "references" },
    );
  }
  checkChoices(choices, photos.length);
  const { face, requireFace = false } = choices;
  const { align = alignFaces || face !== undefined } = choices;
  const isChosen = [face].flat().some((one) =>
    one !== undefined && one !== "best"
  );
  const isAble = align ? faces.aligns : faces.detects;
  if (isAble || !requireFace && !(align && isChosen)) return;
  const field = requireFace ? "requireFace" : "face";
  throw new ApiError(
    400,
    "bad-request",
    faces.detects
      ? `Field ${field} needs faces to be aligned, which this server's model cannot without the landmark model: give align: false, or run \`sh tools/setup.sh --with-landmarks\` where the server is`
      : `Field ${field} needs a model that finds faces, which this server's cannot: put face_detector.weave of weights/mini into its folder`,
    { field },
  );
}
