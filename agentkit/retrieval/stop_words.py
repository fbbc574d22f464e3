"""Words that carry no information on the subject of a question: articles, prepositions, pronouns, auxiliary verbs,
question words. They are one list for all languages, so words that mean something in another language ("die", "war",
"hat", "son") are left out."""

import re

_ENGLISH = """
a about after all also am an and any are as at be because been before being between both but by can could did do does
doing for from had has have having he her here him his how i if in into is it its just many me more most much my no
nor not of off on once only or other our out over own please same she should so some such tell than that the their
them then there these they this those through to too under until up us very was we were what when where which while
who whom whose why will with would you your
"""
_GERMAN = """
der das des dem ein eine einer eines einem einen und oder aber ist sind waren wird wurde wurden werden haben hatte
hatten kann konnte können sein ihr ihre seine sich nicht auch auf aus bei durch für gegen im ins mit nach ohne über um
unter von vom vor zu zum zur zwischen als wie was wer wen wem wessen wann wo wohin woher warum wieso welche welcher
welches welchen welchem wieviel viele es er sie ich du wir
"""
_FRENCH = """
le la les un une des du de et ou est sont était étaient être été avoir avait ont dans sur sous par pour avec sans chez
entre vers que qui quoi quel quelle quels quelles quand où comment pourquoi combien il elle ils elles on ce cet cette
ces se sa ses leur leurs au aux ne pas plus
"""
_SPANISH_AND_PORTUGUESE = """
el los las una unos unas y o es son era eran fue fueron ser ha han había en con sin por para sobre entre hasta desde
del al se su sus lo que quien quién quienes qué cual cuál cuales cuáles cuando cuándo donde dónde cómo cuanto cuánto
cuántos cuánta cuántas por no más este esta esto estos estas um uma uns umas os as e ou é são foi foram foi tem em com
sem do da dos das no na nos nas ao aos pelo pela seu sua seus suas quem qual quais quando onde como quanto quantos
quantas
"""
_ITALIAN_AND_ROMANIAN = """
il lo gli i uno di da nel nella nei nelle con su per tra fra è era erano stato stata essere ha hanno che chi cosa
quale quali quando dove come perché quanto quanti quante non si suo sua suoi sue al alla ai alle dal dalla del della
dei delle și sau este sunt fost erau în din pe cu la pentru care cine ce când unde cum cât câți câte lui ei lor nu se
a al ale un o
"""
_TURKISH = "ve veya bir bu şu o ile için gibi kadar de da mi mı mu mü ne nedir kim kimdir nerede nereye hangi kaç nasıl"
_RUSSIAN = """
и в во на с со к ко о об от до из за по под над при для без между через как что кто кого кому кем чего чему чем где
куда откуда когда почему зачем сколько какой какая какое какие каком какого какую каким каких который которая которое
которые которого котором которую был была было были быть есть это этот эта эти того тот та те его ее их он она оно они
не ни же ли бы а но или
"""
_GREEK = """
ο η το οι τα του της των τον την τους τις στο στη στην στον στα στις και ή είναι ήταν με σε από για ως που ποιος ποια
ποιο ποιοι ποιες τι πότε πού πώς γιατί πόσο πόσοι πόσα πόσες δεν να θα έχει είχε ένα ένας μια
"""
_ARABIC = """
في من إلى على عن مع هو هي هم ما ماذا متى أين كيف كم لماذا أي أية التي الذي الذين هل كان كانت يكون تكون هذا هذه ذلك تلك
أن إن لا لم لن قد ثم أو و بين بعد قبل عند
"""
_HINDI = """
का की के को में से पर और या है हैं था थी थे हो होता होती होते ने कि जो यह वह इस उस ये वे क्या कौन किस किसने किसे कब
कहाँ कहां कैसे क्यों कितने कितनी कितना कौनसा एक भी ही तो तक लिए साथ द्वारा गया गई गए
"""
_VIETNAMESE = "là của và các những một được có cho trong với ở này đó gì ai nào khi đâu bao nhiêu như thế từ đến về bị"

STOP_WORDS = frozenset(
    " ".join(
        (
            *(_ENGLISH, _GERMAN, _FRENCH, _SPANISH_AND_PORTUGUESE, _ITALIAN_AND_ROMANIAN, _TURKISH),
            *(_RUSSIAN, _GREEK, _ARABIC, _HINDI, _VIETNAMESE),
        )
    ).split()
)

NO_SUBJECT = re.compile(
    "(?:什么|什麼|啥)(?:时候|時候)|为什么|為什麼|为啥|为何|為何|多长时间|多長時間|什么|什麼|啥|多久|多长|多長|多远|多遠|多高|多大|"
    "哪些|哪个|哪個|哪种|哪種|哪里|哪裡|哪儿|哪一|哪|谁|誰|多少|几|幾|何时|何時|何地|何|怎么|怎麼|怎样|怎樣|"
    "如何|是否|请问|請問|吗|嗎|呢|的|了|是|在|和|与|與|有|被|于|於|将|將|这|這|那|之"
    "|どこ|いつ|だれ|なぜ|どの|どんな|いくつ|いくら|です|ます|した|する|ですか|か？"
)
"""The same in scripts without spaces, where they separate the words of a question."""
