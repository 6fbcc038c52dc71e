-- phrases.lua - what models say instead of a caption, what they begin captions with, and the small words that tell languages apart.
--
-- All in small letters. Add a phrase only where it cannot begin a caption that somebody means.
local M = {}

-- No caption at all: only at the beginning (quotes and "sorry," before it are passed over).
M.refusals = {
  "i'm sorry", "i am sorry", "i can't", "i cannot", "i can not", "i'm unable", "i am unable", "i'm not able", "i am not able", "i won't", "i apologize",
  "i don't feel comfortable", "unable to", "sorry, but i", "sorry, i", "as an ai", "no caption", "no image", "error:", "{\"error\"", "<!doctype", "<html",
  "es tut mir leid", "tut mir leid", "ich kann nicht", "ich kann dabei nicht", "ich kann das bild nicht", "ich kann dieses bild nicht",
  "leider kann ich", "als ki",
  "je suis désolé", "désolé", "je ne peux pas", "je ne suis pas en mesure", "en tant qu'ia",
  "lo siento", "no puedo", "no me es posible", "como ia", "como modelo de lenguaje",
  "mi dispiace", "non posso", "in quanto ia", "desculpe", "sinto muito", "não posso", "het spijt me", "ik kan niet", "ik kan geen", "przykro mi",
  "przepraszam", "nie mogę",
  "извините", "к сожалению", "я не могу", "申し訳", "すみません", "恐れ入りますが",
  "お手伝いできません", "抱歉", "对不起", "很抱歉", "我无法", "我不能", "無法", "对此我无法",
  "죄송합니다", "죄송하지만",
}

-- The same, wherever it stands.
M.refusals_inside = { "as an ai language model", "as a language model", "i can't assist with", "i cannot assist with", "i'm unable to assist",
  "violates our content policy",
  "als ki-sprachmodell", "en tant que modèle de langage", "作为一个ai", "作为ai", "作为人工智能", "aiとして" }

-- Words about the picture instead of its content. They may be cut off, and the rest is the caption.
M.openings = {
  "this image shows", "the image shows", "this image depicts", "the image depicts", "this image features", "the image features", "this picture shows",
  "the picture shows",
  "this photo shows", "the photo shows", "this is an image of", "this is a picture of", "this is a photo of", "in this image", "in the image",
  "in this picture", "in this photo",
  "the image is of", "the image captures", "this image captures", "the image presents", "here is a caption", "here's a caption", "here is the caption",
  "here is a description",
  "caption:", "description:", "sure,", "sure!", "certainly!", "certainly,", "of course!",
  "das bild zeigt", "dieses bild zeigt", "auf dem bild", "auf diesem bild", "das foto zeigt", "hier ist eine beschreibung", "bildbeschreibung:", "gerne!",
  "l'image montre", "cette image montre", "l’image montre", "sur cette image", "sur l'image", "la photo montre", "voici une description",
  "dans cette image",
  "la imagen muestra", "esta imagen muestra", "en esta imagen", "en la imagen", "la foto muestra", "aquí tienes", "aquí está",
  "l'immagine mostra", "questa immagine mostra", "a imagem mostra", "esta imagem mostra", "de afbeelding toont", "deze afbeelding toont",
  "op deze foto", "obraz przedstawia", "zdjęcie przedstawia",
  "на изображении", "на картинке", "на фото", "この画像", "画像には", "この写真", "这张图片", "这幅图",
  "图片中", "图中", "这张照片", "图片展示", "이 이미지", "이미지에는",
}

-- Marks of a markup that was not taken off.
M.markup = { "```", "**", "\\n", "<think>", "</think>", "<br", "&quot;", "&amp;" }

local function words(text)
  local set = {}
  for word in text:gmatch "%S+" do set[word] = true end
  return set
end

-- Small words that one of these languages has and the others hardly.
M.small = {
  en = words "the of and is are with on at his her its their from this that by an it there standing sitting wearing",
  de = words "der die das und ist sind mit auf dem den einem einen einer eine ein im am vor neben trägt steht sitzt nicht von zu zur zum über",
  fr = words "le les des est sont avec dans une du au aux sur et devant derrière qui elle il porte ses très",
  es = words "el los las del es están con una y sobre junto al su lleva hay está muy en",
  it = words "il gli della del è sono con uno nella nel sulla sul che di accanto davanti molto",
  pt = words "os uma com não são está ao da do dos das na no em um muito sobre ele ela",
  nl = words "het een van en is zijn met op de naast voor achter draagt staat zit niet aan bij",
  pl = words "jest są na z w ze przed obok i który która ma nie pod nad przy",
}

M.names = { en = "English", de = "German", fr = "French", es = "Spanish", it = "Italian", pt = "Portuguese", nl = "Dutch", pl = "Polish",
  ru = "Cyrillic script",
  ja = "Japanese", zh = "Chinese", ko = "Korean", el = "Greek script", ar = "Arabic script", he = "Hebrew script", hi = "Devanagari", th = "Thai" }

return M
