-- es.lua - lo que se pregunta a un modelo, en español. La forma se explica en en.lua.
return {
  role = "Escribes descripciones de imágenes con las que se entrena un modelo de imágenes (un LoRA). Lo que una descripción nombra se podrá cambiar luego "
    .. "en el prompt; lo que omite se aprende como parte del sujeto.",
  rules = "Describe solo lo que se ve. Empieza por el sujeto mismo, nunca por «Esta imagen muestra», «En la imagen» o «Una foto de», salvo que el enfoque "
    .. "lo pida. Sin suposiciones sobre nombres, ambiente, historia o significado, sin elogios, sin «posiblemente» ni «parece», nada sobre las "
    .. "descripciones ni sobre lo que no puedes hacer. Cita al pie de la letra, entre comillas, lo que esté escrito en la imagen.",
  style = {
    detailed = "Escribe un párrafo de dos a cuatro frases sencillas, de 40 a 90 palabras, lo más importante primero.",
    concise = "Escribe una frase sencilla de 25 palabras como máximo.",
    tags = "Escribe de 10 a 30 etiquetas, la más importante primero, de una a tres palabras cada una, ninguna repetida y ninguna que repita parte de otra.",
  },
  focus = {
    character = "El modelo debe aprender a la persona o figura. Nómbrala con una palabra sencilla: mujer, hombre, niña, niño, perro, figura. Omite lo que no cambia de "
      .. "una imagen a otra: cara, ojos, pelo, piel, complexión, marcas, edad. Nombra lo que cambia: postura, acción, mirada, expresión, ropa, lo que "
      .. "sostiene, a qué distancia y desde qué lado se la ve, el entorno, la luz.",
    style = "El modelo debe aprender el estilo. Nombra lo representado: sujetos, lo que hacen, objetos, lugar, disposición, hora del día, tiempo atmosférico. No digas nada de "
      .. "cómo está hecho: ni medio, ni técnica, ni trazo, ni textura, ni paleta, ni acabado, ni época, ni escuela, ni artista.",
    scene = "El modelo debe aprender el lugar. Omite lo que siempre le pertenece: arquitectura, paredes, suelo, muebles fijos, lugares emblemáticos. Nombra lo que cambia: punto de "
      .. "vista, distancia, luz, hora del día, estación, tiempo atmosférico, personas y objetos móviles.",
    all = "Nombra todo lo que importa: sujeto, aspecto, ropa, acción, entorno, disposición, punto de vista, luz, colores, medio y estilo.",
  },
  tags_in = { here = "Escribe las etiquetas en español, en minúsculas, palabras separadas por espacios.",
    english = "Escribe las etiquetas en inglés: minúsculas, palabras separadas por espacios, con los términos de los imageboards (\"1girl\", \"solo\", "
      .. "\"looking at viewer\")." },
  answer_in = "Escribe en español.",
  besides = "Además: ",
  ask = { caption = "Describe esta imagen.", tags = "Etiqueta esta imagen." },
  answer = { caption = "la descripción", tags = "las etiquetas" },
}
