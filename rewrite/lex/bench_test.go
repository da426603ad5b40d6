package lex

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkScan(b *testing.B) {
	short := `SELECT u.id, u.email FROM users u WHERE u.account_id = $1 AND u.email = 'someone@example.org' LIMIT 10`

	var medium strings.Builder
	medium.WriteString("/* app:shop,trace:00-4bf92f3577b34da6a3ce929d0e0e4736 */\nSELECT ")
	for i := 0; medium.Len() < 1800; i++ {
		fmt.Fprintf(&medium, "  COALESCE(o.column_%d, '') AS column_%d, -- note\n", i, i)
	}
	medium.WriteString("o.id FROM public.orders AS o LEFT JOIN users u ON u.id = o.user_id WHERE o.total >= 12.50 AND u.name <> 'x' ORDER BY 1")

	var insert strings.Builder
	insert.WriteString("INSERT INTO order_items (id, sku, title, price, made) VALUES (0, '', '', 0, now())")
	for i := 0; insert.Len() < 1<<20; i++ {
		fmt.Fprintf(&insert, ", (%d, 'sku-%07d', 'It''s a product with a title, number %d', %d.99, '2024-01-02 03:04:05')", i, i, i, i%1000)
	}

	for _, text := range []struct{ name, sql string }{
		{"100B", short},
		{"2kB", medium.String()},
		{"1MB_insert", insert.String()},
		{"1MB_string", "SELECT '" + strings.Repeat("x", 1<<20) + "'"},
		{"1MB_estring", "SELECT E'" + strings.Repeat(`some text\n`, 1<<20/11) + "'"},
		{"1MB_ident", strings.Repeat("x", 1<<20)},
	} {
		b.Run(text.name, func(b *testing.B) {
			dst, err := Scan(nil, text.sql)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text.sql)))
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = Scan(dst[:0], text.sql); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(text.sql)), "ns/byte")
		})
	}
}
