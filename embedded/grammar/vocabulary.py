"""Words of the closed world that are no nouns: names, verbs and adjectives with their forms, opposites, synonyms."""

from embedded.grammar.text import pairs, phrases, words

NAMES = words("""
Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Mary Nina Oscar Paul Rosa Sam Tom Vera Alice Bob Carla
Dan Eva Frank Gina Hugo Iris John Karl Lily Max Nora Peter Ruth Simon Tina Will Zoe""")
GIRLS = frozenset(
    words("""
Anna Clara Emma Grace Ida Kate Mary Nina Rosa Vera Alice Carla Eva Gina Iris Lily Nora Ruth Tina Zoe""")
)

# verb, past, third person, with -ing
_VERBS = phrases("""
walk walked walks walking; play played plays playing; jump jumped jumps jumping; cook cooked cooks cooking
paint painted paints painting; dance danced dances dancing; laugh laughed laughs laughing; work worked works working
go went goes going; eat ate eats eating; drink drank drinks drinking; see saw sees seeing; run ran runs running
swim swam swims swimming; sing sang sings singing; write wrote writes writing; read read reads reading
sleep slept sleeps sleeping; buy bought buys buying; make made makes making; take took takes taking
give gave gives giving; find found finds finding; come came comes coming; fly flew flies flying
ride rode rides riding; speak spoke speaks speaking; think thought thinks thinking; teach taught teaches teaching
catch caught catches catching; drive drove drives driving; wash washed washes washing
watch watched watches watching; build built builds building; break broke breaks breaking
bring brought brings bringing; draw drew draws drawing; begin began begins beginning""")
VERBS = {verb: tuple(forms) for verb, *forms in map(words, _VERBS)}

# adjective, comparative, superlative, opposite, synonym (- where there is none)
_ADJECTIVES = phrases("""
big bigger biggest small large; small smaller smallest big little; hot hotter hottest cold -
cold colder coldest hot chilly; fast faster fastest slow quick; slow slower slowest fast -
tall taller tallest short high; short shorter shortest long brief; long longer longest short -
old older oldest new ancient; new newer newest old fresh; young younger youngest old -
happy happier happiest sad glad; sad sadder saddest happy unhappy; rich richer richest poor wealthy
poor poorer poorest rich needy; clean cleaner cleanest dirty -; dirty dirtier dirtiest clean filthy
strong stronger strongest weak powerful; weak weaker weakest strong feeble; light lighter lightest heavy -
heavy heavier heaviest light -; hard harder hardest soft -; soft softer softest hard -
easy easier easiest difficult simple; wet wetter wettest dry damp; dry drier driest wet -
dark darker darkest bright -; bright brighter brightest dark shiny; loud louder loudest quiet noisy
quiet quieter quietest loud silent; thick thicker thickest thin -; thin thinner thinnest thick slim
wide wider widest narrow broad; narrow narrower narrowest wide -; deep deeper deepest shallow -
sweet sweeter sweetest sour sugary; brave braver bravest afraid bold; kind kinder kindest mean nice
smart smarter smartest silly clever""")
_rows = [words(forms) for forms in _ADJECTIVES]
COMPARATIVE = {row[0]: row[1] for row in _rows}
SUPERLATIVE = {row[0]: row[2] for row in _rows}
OPPOSITE = {row[0]: row[3] for row in _rows} | pairs("""
day: night; night: day; up: down; down: up; left: right; right: left; open: closed; full: empty; empty: full
early: late; late: early; first: last; last: first; yes: no; north: south; south: north; east: west; west: east
black: white; white: black; true: false; buy: sell; win: lose; push: pull; love: hate; start: stop; inside: outside
friend: enemy""")
SYNONYM = {row[0]: row[4] for row in _rows if row[4] != "-"} | pairs("""
begin: start; end: finish; speak: talk; rock: stone; road: street; shop: store; job: work; gift: present; angry: mad
sick: ill; pretty: beautiful; scared: afraid; tired: sleepy""")
