"""Words that the writer knows: what is no name, what only a person does, what asks for a framing."""

from __future__ import annotations

_GRAMMAR = """
    a an the this that these those some any each every both all no none one two three four five six seven
    eight nine ten first second third last another other others such many much more most few several half
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs who
    whom whose which what somebody someone anybody anyone everybody everyone nobody something anything
    everything nothing and or but nor so yet if then than as while when whenever where wherever because
    since though although unless until before after once of in on at by for from with without to into onto
    upon about through during across against along among around behind below beneath beside between beyond
    down inside near off out outside over past under up toward towards within above despite except like
    per via plus am is are was were be been being do does did has have had will would shall should can
    could may might must let lets here there now today tonight tomorrow yesterday later soon suddenly
    slowly quickly finally meanwhile again always never often sometimes still just only also too even very
    quite rather almost perhaps maybe indeed instead however therefore thus together alone away back home
    far nearby everywhere somewhere anywhere nowhere next eventually gradually gently softly quietly
    silently carefully happily sadly gladly proudly gracefully yes ok okay oh ah hey hello hi hurrah
    hooray wow goodbye bye please thanks thank sorry well why how not don't doesn't didn't isn't wasn't
    won't can't couldn't
"""
GRAMMAR = frozenset(_GRAMMAR.split())
"""Words that hold a sentence together and show nothing."""

_NOT_NAMES = """
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july
    august september october november december spring summer autumn fall winter christmas easter halloween
    ramadan diwali morning noon midday afternoon evening night midnight dawn dusk sunrise sunset day days
    week month year years north south east west northern southern eastern western english french german
    spanish italian russian chinese japanese korean indian african american european british scottish
    irish welsh dutch greek turkish arabic hebrew latin polish swedish danish norwegian finnish earth moon
    sun mars venus jupiter saturn god lord heaven hell internet rain snow wind fog mist thunder lightning
    sunlight moonlight starlight daylight light darkness dark shadow shadows silence music laughter smoke
    fire water ice dust sand sky clouds stars waves leaves trees flowers birds children people everybody
    folk friends strangers animals men women boys girls crowds guests villagers time life love death hope
    fear joy peace war winter's luck magic nature history dinner breakfast lunch supper fade cut dissolve
    close wide medium shot scene act chapter part page title end beginning interior exterior camera pan
    zoom angle view insert montage flashback credits style cast characters int ext est pov spring's
    someone's everyone's somebody's everybody's mr mrs ms dr sir madam mister captain doctor professor
    king queen prince princess aunt uncle boy girl man woman lady
"""
NOT_NAMES = GRAMMAR | frozenset(_NOT_NAMES.split())
"""Capitalised words that are no name by themselves (a title before a name joins it)."""

_TITLES = """
    mr mrs ms miss dr doctor prof professor sir lady lord captain king queen prince princess aunt uncle
    old little grandma grandpa granny grandmother grandfather saint brother sister father mother detective
    inspector
"""
TITLES = frozenset(_TITLES.split())

_PLACE_WORDS = """
    in at to from near into toward towards through across around of via reach reaches
"""
PLACE_WORDS = frozenset(_PLACE_WORDS.split())
"""Before a name they say that it may be a place."""

_DETERMINERS = """
    the a an this that these those my your his her its our their every each no some any der die das den
    dem des ein eine einen einem einer eines kein keine im am zum zur vom beim ins ans seine seinen seinem
    seiner ihr ihre ihren ihrem ihrer mein meine dein deine unser unsere diese dieser dieses diesen le la
    les l' un une des du au aux ce cet cette ces son sa ses mon ma mes leur leurs el los las lo al del una
    unos unas su sus mi mis il gli i dei della dello nel nella sul sulla o os as um uma do da dos das no
    na nos nas de het een
"""
DETERMINERS = frozenset(_DETERMINERS.split())

_GERMAN = """
    der die das und ist nicht ein eine den dem mit auf zu im am sie er von für
"""
GERMAN = frozenset(_GERMAN.split())

_PERSON_VERBS = """
    walks walked runs ran waves waved jumps jumped sits sat dances danced bows bowed nods nodded claps
    clapped looks looked stands stood sleeps slept wakes woke says said asks asked tells told answers
    answered replies replied shouts shouted whispers whispered cries cried laughs laughed smiles smiled
    sings sang speaks spoke talks talked calls called reads read writes wrote eats ate drinks drank cooks
    cooked opens opened closes closed holds held carries carried takes took gives gave finds found sees
    saw hears heard watches watched follows followed meets met hugs hugged kisses kissed helps helped
    thinks thought knows knew remembers remembered wants wanted loves loved hates hated goes went comes
    came leaves left arrives arrived enters entered returns returned climbs climbed swims swam flies flew
    rides rode drives drove throws threw catches caught picks picked puts put wears wore hides hid seeks
    searches searched waits waited stops stopped turns turned points pointed stares stared yawns yawned
    lies lay kneels knelt steps stepped hurries hurried rushes rushed wanders wandered strolls strolled
    marches marched skips skipped hops hopped crawls crawled tiptoes sneaks sneaked plays played works
    worked lives lived dreams dreamed dreamt wonders wondered feels felt blinks blinked winks winked
    shrugs shrugged sighs sighed grins grinned frowns frowned weeps wept sobs sobbed trembles trembled
    shivers shivered gasps gasped screams screamed yells yelled lifts lifted raises raised drops dropped
    pulls pulled pushes pushed knocks knocked peeks peeked peers peered gazes gazed greets greeted thanks
    thanked joins joined leads led shows showed brings brought buys bought sells sold builds built draws
    drew paints painted fights fought wins won tries tried begins began starts started decides decided
    learns learned falls fell gets got keeps kept makes made leans leaned rests rested lights lit chases
    chased escapes escaped explores explored discovers discovered appears appeared disappears disappeared
"""
PERSON_VERBS = frozenset(_PERSON_VERBS.split())
"""Verb forms; after a capitalised word without an article they make a person of it."""

_HELPING_VERBS = """
    is was has had does did can could will would must doesn't isn't wasn't
"""
HELPING_VERBS = frozenset(_HELPING_VERBS.split())
"""After a person or a town alike."""

_BARE_VERBS = """
    walk run wave jump sit dance bow nod clap look stand sleep say ask shout laugh smile sing talk meet
    hug go come bow sing clap fight play work live hide wait stop turn follow dream wonder hold swim fly
    ride
"""
BARE_VERBS = frozenset(_BARE_VERBS.split())
"""After two persons joined by "and"."""

_ADDRESSING = """
    waves waved bows bowed talks talked speaks spoke says said sings sang nods nodded listens listened
    whispers whispered shouts shouted points pointed runs ran turns turned calls called writes wrote reads
    gives gave shows showed brings brought belongs back next close
"""
ADDRESSING = frozenset(_ADDRESSING.split())
"""Before "to" and a name they make a person of it."""

_CALLED = """
    named called is-named name
"""
CALLED = frozenset(_CALLED.split())

_UNSEEN = """
    mid waist closer gone ca wo sha says said asks asked tells told answers answered replies replied
    shouts shouted whispers whispered calls called speaks spoke talks talked thinks thought knows knew
    remembers remembered wants wanted hopes hoped feels felt seems seemed becomes became decides decided
    tries tried begins began starts started stops stopped waits waited goes went comes came gets got keeps
    kept makes made lets gives gave takes took has had having being been loves loved likes liked needs
    needed wonders means meant happens happened sees saw hears heard listens watches watched finds found
    meets met follows followed helps helped stays stayed lives lived arrives arrived leaves returns
    returned turns turned moves moved holds held carries carried wears wore wearing dressed holding
    carrying same different own whole other new old young good bad nice dear best better great big small
    little tiny huge large long short tall high low wide deep thick thin first last next back away thing
    things way place side edge middle centre center left right top bottom front end part kind sort name
    word words idea moment while hour minute minutes hours story tale film movie scene shot camera view
    framing close-up close medium pan pans push pushes zoom zooms static shows shown seen happy happily
    glad gladly sad sadly proud lonely tired angry afraid brave gentle quiet still warm cold alone
    together again soon later once sudden slow fast quick early late lot bit pair couple group full empty
    nobody everyone number step steps turn look looks everything something day days time times flashback
    memory animation establishing dances hello goodbye yes no thank thanks please
"""
UNSEEN = GRAMMAR | frozenset(_UNSEEN.split())
"""Words of a caption that no picture is wrong for: speech, thought, order, size, mood, the camera."""

_SYNONYMS = """
    ocean coast seaside shoreline bay kitten kitty bunny hare toad cub teddy vixen lad lass lady gentleman
    guy child kid woodland grove jungle fir pine pines village alley lane avenue path pavement sidewalk
    pier quay dock wharf marina ship ships boat boats palace fortress hallway mountain mountainside summit
    ridge cliff hillside prairie lawn garden valley farmland bookshelf bookcase books novel dune sandbank
    snowdrift ice icy cavern tunnel shop shops stall fair subway tracks attic chimney terrace balcony loft
    pillow blanket storm stormy drizzle thunderstorm blizzard snowstorm frost smoke sunshine sunlight
    sunny dawn nightfall moonrise starlight stars starry lamp torch candle glow parasol blossom blossoms
    rose tulip daisy luggage baggage briefcase bag rucksack spectacles sunglasses necktie shawl gown cloak
    cape parka raincoat blazer cardigan jumper pullover shirt blouse hood helmet tiara diadem ginger
    auburn brunette tan beige maroon crimson scarlet cyan turquoise navy violet lilac lavender magenta
    gold silver rust peach cream ivory march marches saunters ambles paces steps jog jogs race races hurry
    hurries rush rushes dash bounce bounces skip skips spin spins sway sways whirl whirls curtsy curtsies
    kneel kneels rest rests nap naps snooze snoozes slumber slumbers doze greet salute salutes cheer
    cheers stare stares peer peers gaze glance
"""
SYNONYMS = frozenset(_SYNONYMS.split())
"""What the encoder or the eye takes for one of DRAWABLE; most stories need no encoder then."""

_DRAWABLE = """
    reading hop leap fall fox cat bear rabbit mouse frog girl boy woman man animal person people friend
    fur skin hair curly bun orange grey gray brown white black golden pink blue pale tan dark red yellow
    green teal purple blond blonde coat dress jacket robe sweater hat cap beanie straw crown scarf glasses
    tie backpack necklace clothes forest woods wood trees beach seaside seashore shore sand sandy sea
    street road town city kitchen cosy cook castle hall throne room mountains hills peaks alps meadow
    field grass grassy pasture harbour harbor port docks library bookshelves desert dunes snowfield snowy
    plain frozen cave cavern grotto rocky market bazaar square stalls train station railway platform
    rooftop roof terrace bedroom bed chamber morning dawn sunrise daybreak noon afternoon daytime daylight
    sunlit sunset dusk evening twilight night midnight moon moonlit moonlight sun sky clear rain rainy
    downpour rainstorm snow snowfall snowflakes fog foggy mist haze ground stand stands walk walks strolls
    wanders run runs sprints dashes wave waves greets jump jumps leaps hops sit sits seat dance twirls bow
    bows nod nods agreement clap claps applauds hands hand joy gazes glances asleep sleep sleeps dozes
    drifts falling drifting lantern umbrella book ball balloon flower suitcase kite light lies politely
    deeply gently quietly heavy
"""
DRAWABLE = frozenset(_DRAWABLE.split())
"""What the playhouse draws, in its own words and those its captions use; a test holds the two together."""
