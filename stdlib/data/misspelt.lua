-- misspelt.lua - words as they are often misspelt in tags and captions, and as they are meant. Only what is no word of its own: "lightening"
-- and "cloths" may be meant. Small letters; one word each.
local LIST = [[
accross across  agressive aggressive  apartement apartment  appartment apartment  arround around  athmosphere atmosphere  backgroud background
backgroung background  backround background  baloon balloon  beatiful beautiful  beautifull beautiful  beautyful beautiful  begining beginning
behing behind  bouqet bouquet  bycicle bicycle  bicyle bicycle  castel castle  cathederal cathedral
cemetary cemetery  charachter character  charcter character  chidren children  choclate chocolate  cieling ceiling  clotes clothes  clouthes clothes
colorfull colorful  colourfull colourful  collumn column  confortable comfortable  coridor corridor  costum costume  curtian curtain  dasies daisies
definately definitely  diffrent different  dissapearing disappearing  drawning drawing  earings earrings  earing earring  elefant elephant
embroidary embroidery  enviroment environment  exremely extremely  eyebrowns eyebrows  eyelases eyelashes  expresion expression  facinating fascinating
familar familiar  feild field  fireing firing  flowerss flowers  foregroud foreground  forground foreground  foriegn foreign  fourty forty  freind friend
friut fruit  furnature furniture  gallary gallery  garentee guarantee  geen green  girrafe giraffe  giraff giraffe  glases glasses
grafitti graffiti  graffitti graffiti  guage gauge  guitare guitar  halfbody half-body  hankerchief handkerchief  heigth height
horizion horizon  horsse horse  hosue house  illumniated illuminated  immage image  interiour interior  iliustration illustration  ilustration illustration
illustartion illustration  jewelery jewelry  kitchin kitchen  knive knife  lanscape landscape  landscpae landscape  lanterm lantern
lenght length  libary library  lighthose lighthouse  litle little  luggagge luggage  maching matching
midle middle  mirrow mirror  mosiac mosaic  mountian mountain  mountians mountains  mountin mountain  multicolord multicolored  mustasche mustache
neckalce necklace  necklase necklace  neclace necklace  nigth night  ocen ocean  occured occurred  opend opened  orangge orange  ornamant ornament
paiting painting  paintng painting  pantings paintings  paralell parallel  peice piece  peopel people  peple people  perpel purple  perspecive perspective
perspctive perspective  photgraph photograph  photografy photography  picure picture  pictrue picture  playfull playful  portait portrait
portrate portrait  potrait portrait  profesional professional  proffesional professional  puple purple  realisitc realistic  realstic realistic
recieve receive  rectangel rectangle  reflecton reflection  religous religious  restaraunt restaurant  resturant restaurant  rythm rhythm
sandels sandals  scarve scarf  sculputre sculpture  seperate separate  serius serious  shaddow shadow  shadwo shadow  sholder shoulder  shoulers shoulders
silhouete silhouette  silhoutte silhouette  sillhouette silhouette  silouette silhouette  simetrical symmetrical  symetrical symmetrical
siting sitting  sleevless sleeveless  smilling smiling  smileing smiling  sorrounded surrounded  sourrounded surrounded  standig standing  stading standing
strawbery strawberry  streched stretched  streetligth streetlight  sunglases sunglasses  sunglassses sunglasses  sunligth sunlight
suprised surprised  suprise surprise  swiming swimming  texure texture  tommorow tomorrow  tounge tongue
trasparent transparent  transparant transparent  traditonal traditional  triangel triangle  truely truly  twintale twintail  twintales twintails
umbrela umbrella  umberella umbrella  underware underwear  unifrom uniform  untill until  vegatable vegetable  vehical vehicle  vehicule vehicle
vilage village  vinage vintage  visable visible  watercolr watercolor  watter water  wathercolor watercolor  windoe window  wodden wooden
woden wooden  womans women  writting writing  yelow yellow  yello yellow  1girls 1girl  1boys 1boy  2girl 2girls  2boy 2boys  3girl 3girls
]]

local M = {}
for wrong, right in LIST:gmatch "(%S+)%s+(%S+)" do
  M[wrong] = right
end

return M
