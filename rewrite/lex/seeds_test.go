package lex_test

// seeds are statements and fragments that touch every rule of the scanner.
// They start the fuzzer and run as a plain test.
var seeds = []string{
	"",
	"SELECT * FROM users u LEFT JOIN public.orders AS o ON o.user_id = u.id WHERE u.email = 'a@b.c' AND o.total >= 1.50",
	"DELETE FROM ONLY \"Users\" AS u USING t WHERE u.id = t.id AND t.x <> $1 RETURNING u.*",
	"INSERT INTO t (a, b) VALUES (1, 'x'), (-2, E'y\\n'), (3.5e-7, NULL) ON CONFLICT DO NOTHING",
	"UPDATE t SET a = a + 1, b = b || 'x', c[1:2] = '{}'::int[], d = e -> 'k' ->> 0 WHERE f @> '{\"a\": 1}'",
	"WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d; COPY t TO STDOUT; TRUNCATE a, b CASCADE",
	"DO $do$ BEGIN FOR i IN 1..10 LOOP x := i; END LOOP; PERFORM f(a => 1, b := $$q$$); END $do$ LANGUAGE plpgsql",
	"SELECT /* a /* b */ c */ 1 -- to the end\n, 2 --\r, 3",
	"select a--b", "a/*b", "/*/", "/***/", "/**/*/", "/*/**/*/", "--", "-", "/",
	"U&\"d\\0061t\\+000061\" U&'\\0441' UESCAPE '!' u&x U & \"y\"", "U&\"\"", "U&\"", "U&'a'\n'b'c", "U&''''", "U&\"\"\"\"", "u&",
	"N'abc' n'abc' nchar 'x'", "N'", "B'01' b'1''0' B'x'\n'y' X'1F' x'0''1' X'a'\r'b'", "B'", "X'", "b", "x", "e", "u", "n",
	"'' '''' 'a''b' 'a\\' 'a\\''b'", "'a'\n'b'", "'a' \t\f\r\n 'b'", "'a' 'b'", "'a'\n\n-- c\n'b'", "'a' -- c\n'b'", "'a' --c\n--d\r 'b'",
	"'a'\n--c", "'a'\n-'b'", "'a'--c 'b'\nd", "'a'\n/*c*/'b'", "'a'\n", "'", "'a'\n'b", "E'a' --c\n'\\''", "E'a'--c\n'\\'b'", "'a'--c\n'b'--d\n'c'",
	`E'a\'b\\' e'\n\t\b\f\r\x'`, `E'\`, `E'\'`, `E'a''b\''`, "E'a'\n'\\'b'", "E'\\\n'", `E'\x41\x4\x\101\7\18'`,
	`E'\xff'`, `E'\377'`, `E'\xc3\xa9'`, "E'\\xc3'\n'\\xa9'", `E'\303\u00e9'`, `E'\0'`, `E'\400'`, `E'\x00'`, `E'\é'`, `E'\é\xc3'`, `E'\xed\xa0\x80'`, `E'\xf4\x90\x80\x80'`, `E'\xc0\x80'`,
	`E'\u00e9\U0001F600\ud83d\ude00'`, `E'\u'`, `E'\u00'`, `E'\U0000000'`, `E'\u0000'`, `E'\U00110000'`, `E'\UFFFFFFFF'`, `E'\ude00'`, `E'\ud83d'`, `E'\ud83d\u0041'`, `E'\ud83d\n'`, `E'\ud83d\u'`, `E'\ud83d`, `E'\U0000d83d\U0000de00'`, "E'\\ud83d'\n'\\ude00'", "E'\\ud83d\n",
	"$$a$$ $a$b$a$ $a$ $b$ $$ $a$ $é$'$é$", "$$$$", "$$$", "$a$$a$", "$a$b$a", "$", "$a", "$a b$", "a$b$", "$1$$x$$", "$1a $12", "$1_0", "$_a$x$_a$", "$a1$x$a1$", "$1a$x$1a$",
	`"a" "a""b" """"`, `""`, `"`, `"""`, "\"a\nb\"",
	"1 12 1.5 .5 1. 1e10 1E+10 1.5e-3 1.e5 .5e5", "1..2 1...2 1.2.3 1....", "1_0..2_0", "1_0.e5", "1e 2", "1e+", "1e5_", "1.5e", "1x", "1.x", "1_", "1_0 1__0", "1_0.0_1e0_1", "1._0", "1.0_", "1é",
	"0x1F 0XfF 0x_f 0o17 0O7 0b101 0B1_0", "0x", "0x_", "0xg", "0o8", "0b2", "0b12", "0o78", "0x1g", "0x1_", "0b1_2", "00x1", "0_1", "0e1", "0.x",
	"2147483647 2147483648 0x7fffffff 0x80000000 0o17777777777 0o20000000000 99999999999999999999 0xFFFFFFFFFFFFFFFFFFFFF 0b11111111111111111111111111111111 00000000000002147483647",
	"a::b:=c:d := ::= :::", "=> <= >= <> != == =< ><", "a=-1 a<=-1 a@-1 a<>+1 a!=-1 a|-+1 a%-1 a^-1 a*-+-1", "+--x", "+-+-", "*/*x*/", "@-/**/", "=>--", "<=/*x*/", "!=-", "<>--", "->>", "?- ?| ?& #>> @@ ~* !~* ||/ |/ `", "-+", "+/*x*/-", "@--", "!/**/=",
	"***************************************************************", "****************************************************************",
	"---\n-", "- - --", "(a)[1:2],b;.c", "{}", "\\", "\v", "a\vb", "\x01\x7f", "\f\t", "été = 'ü' -- ö\n", "日本", "\u00a0a", "'a'\v\n'b'",
	"SELECT a FROM t WHERE b IN (SELECT \"c\".d FROM e.f) AND g ~ '^h$' AND i::text LIKE E'%\\_%' ESCAPE '\\'",
	"SET search_path TO a, b; BEGIN; SAVEPOINT s; PREPARE p AS DELETE FROM t WHERE a = $1; EXECUTE p(1)",
}

// pieces are put next to each other by TestAgreesOnPieces. The first lookahead
// of them are those that change what stands before them.
var pieces = []string{
	"'", "'a'", "E'a", "\\", "\\ud83d", "\\xc3", "\n", " ", "--", "-", "/*", "*/", "+", "=", "<", "|",
	"$", "$a$", "a", "e", "1", "0x", "_", ".", ":", "\"", "U&", "é",
	"\t", "\r", "\f", "\v", "*", "/", ">", "!", "%", "@-", "->", "$$", "$1", "$b", "b'", "X'1'", "N'", "U&'a'", "U&\"a\"", "\"a\"", "E'", "E'\\'", "''", "\"\"",
	"0", "9", "0b1", "0o", "1.5", "1e", "1_0", "1..", "2147483648", "select", "B", "n", "x", "u", "(", "]", ",", ";", "::", ":=", "=>", "<=", "<>", "!=", "..", "{", "\x01",
	"/*a*/", "--a\n", "$a$b$a$", "\\ude00", "\\u00e9", "\\xa9", "\\0", "\\'", "日", "_a", "E'\\xc3\\xa9'",
}

const lookahead = 28
