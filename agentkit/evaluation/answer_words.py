"""The words by which answers in many languages say that the answer follows, as the source of a regular expression.

Those of the languages in which MMMLU and MGSM are translated, and of some with many speakers besides. A word that means
something else too ("उत्तर" is the north) counts with a colon behind it, or "right" before it.
"""

_LATIN = (
    "antwort|réponse|respuesta|resposta|risposta|antwoord|jawaban(?:nya)?|jibu|câu trả lời|đáp án|cevap|yanıt|odpowiedź"
    "|odpověď|odpoveď|odgovor|svar(?:et)?|vastaus|válasz|răspuns(?:ul)?|sagot"
    "|(?:opción|alternativa|opção|opzione|option|opsi|pilihan) (?:correcta|correta|corretta|correcte|giusta|yang benar"
    "|yang tepat)|bonne option|[ìi]d[áa]h[ùu]n|àdáhùn"
)
_OTHER_ALPHABETS = "ответ|(?:правильный|верный) вариант|відповідь|отговор|απάντηση"
_NORTH = "(?:उत्तर|উত্তর)"
_THAI = "ค(?:\u0e33|\u0e4d\u0e32)ตอบ"  # normalised, its vowel is two characters
_WITHOUT_CASE = (
    "答案|正确选项|正確選項|正确的选项|正確的選項|正解|答え|答(?=\\s?[:：])|(?:回答|解答)(?=\\s?[:：はが])"
    "|정답|답변|답(?=\\s?(?:은|[:：]))"
    "|الجواب|الإجابة|إجابة|پاسخ|جواب|תשובה"
    f"|(?:सही|সঠিক) {_NORTH}|{_NORTH}(?=\\s?[:：]|ঃ)|जवाब"
    f"|{_THAI}|సమాధానం|జవాబు|விடை(?=\\s?[:：])|பதில்(?=\\s?[:：])"
)
OTHERS = rf"\b(?:{_LATIN}|{_OTHER_ALPHABETS})\b|{_WITHOUT_CASE}"
"""The word "answer" in other languages than English."""
