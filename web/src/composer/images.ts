// Images as they are sent: data URLs of PNG, JPEG, WebP or GIF.

const SENT = /^image\/(png|jpeg|webp|gif)$/;
const MAX_BYTES = 4_000_000;
const MAX_PIXELS = 2048; // of the longer side, of one that is made smaller
const QUALITY = 0.85;
const BYTES_A_CHARACTER = 0.74; // of base64, with what stands before it

/** Whether a file is an image, of whatever kind. */
export function isImage(file: File): boolean {
  return file.type.startsWith("image/") || /\.(heic|heif|tiff?|bmp|avif)$/i.test(file.name);
}

/** The image as a data URL, made smaller where it is too large; undefined where this browser can't read it. room: the
 * characters that are left for it, which one that is made smaller may need, too. */
export async function imageUrl(file: File, room: number): Promise<string | undefined> {
  if (SENT.test(file.type) && file.size <= Math.min(MAX_BYTES, room * BYTES_A_CHARACTER)) return dataUrl(file);
  try {
    return await dataUrl(await smaller(file));
  } catch {
    return undefined;
  }
}

async function smaller(file: File): Promise<Blob> {
  const image = await createImageBitmap(file);
  const scale = Math.min(1, MAX_PIXELS / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.fillStyle = "#fff"; // where it is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return new Promise((resolve, reject) => {
    canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no JPEG"))), "image/jpeg", QUALITY);
  });
}

function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
