/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Says that the server cannot be reached, or wants a token.
 *
 * @module
 */
import { useSignal } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";

/** Nothing while all is well. */
export function ConnectionNotice() {
  const { connection } = useStudio();
  const state = connection.state.value;
  return (
    <div role="alert" class="connection">
      {state === "lost" && (
        <p class="notice warn">{text.value.connection.lost}</p>
      )}
      {state === "locked" && <TokenForm />}
    </div>
  );
}

function TokenForm() {
  const { connection } = useStudio();
  const words = text.value.connection;
  const isWrong = useSignal(false);
  const token = useSignal("");
  return (
    <form
      class="notice warn token"
      onSubmit={async (event) => {
        event.preventDefault();
        isWrong.value = !await connection.signIn(token.value);
      }}
    >
      <p>{words.token}</p>
      <input
        type="password"
        autocomplete="current-password"
        aria-label={words.tokenLabel}
        placeholder={words.tokenLabel}
        onInput={({ currentTarget }) => token.value = currentTarget.value}
      />
      <button type="submit">{words.signIn}</button>
      {isWrong.value && <p class="fault">{words.wrongToken}</p>}
    </form>
  );
}
