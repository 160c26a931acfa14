/* What the means of squares of 8 x 8 or 16 x 16 pixels make of results: see promise.h. */

/* Means of squares, and what the taps over a square come to: [a][b][i][j] is the sum of those that result (i, j) of a cell lays on
 * the square a down and b right of that which the cell is in; for each place of a cell in a square. */
struct coarse {
    const float *means, *taps;
    ptrdiff_t rows, columns, high, wide, side;
};

/* A cell of results: sums of a row of squares apart, so that none is longer than a side. */
INLINE void sum_squares(const struct coarse *coarse, ptrdiff_t y, ptrdiff_t x, float_vector total[CELL])
{
    ptrdiff_t side = coarse->side, place = y % side / CELL * (side / CELL) + x % side / CELL;
    const float *taps = coarse->taps + place * coarse->high * coarse->wide * CELL * CELL;
    for (int i = 0; i < CELL; i++)
        total[i] = (float_vector){0};
    for (ptrdiff_t a = 0; a < coarse->high; a++) {
        const float *means = coarse->means + least_of(y / side + a, coarse->rows - 1) * coarse->columns;
        float_vector sum[CELL] = {{0}};
        for (ptrdiff_t b = 0; b < coarse->wide; b++, taps += CELL * CELL) {
            float mean = means[least_of(x / side + b, coarse->columns - 1)];
            for (int i = 0; i < CELL; i++)
                sum[i] += mean * *(const float_loose *)(taps + i * CELL);
        }
        for (int i = 0; i < CELL; i++)
            total[i] += sum[i];
    }
}

/* The least of the first `count` values as bits, which all negative ones are below. */
INLINE bits least_in(bits v, ptrdiff_t count)
{
    for (ptrdiff_t j = count; j < CELL; j++)
        v[j] = INT32_MAX;
    v = float_smaller(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
    v = float_smaller(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
    return float_smaller(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
}

/* Store a strip of cells of one plane, what was taken from its pixels given back: a constant, or what the means of squares make.
 * Of each cell keep the least that is left of a result's size without a share of that. */
INLINE void store_strip(const struct plane *to, ptrdiff_t row, const struct float_point *line, int imaginary,
                        const struct coarse *coarse, float share, const struct float_seen *seen, float_bits *most)
{
    float *least = seen->least[imaginary] + row / CELL * cells_of(to->columns), given = seen->given[imaginary];
    for (ptrdiff_t x = 0; x < to->columns; x += CELL) {
        float_vector block[CELL], back[CELL] = {{0}};
        bits smallest = {0};
        ptrdiff_t there = least_of(to->columns - x, CELL);
        for (int i = 0; i < CELL; i++)
            block[i] = imaginary ? line[x + i].im : line[x + i].re;
        for (int i = 0; i < CELL; i++)
            *most = float_larger(*most, (float_bits)block[i] & NO_SIGN);
        float_transpose(block);
        if (coarse)
            sum_squares(coarse, row, x, back);
        smallest += INT32_MAX;
        for (int i = 0; i < CELL && row + i < to->rows; i++) {
            float *pixels = (float *)(to->data + (row + i) * to->step) + x;
            float_vector result = coarse ? block[i] + back[i] : block[i] + given;
            float_vector size = (float_vector)((bits)result & NO_SIGN);
            smallest = float_smaller((bits)(coarse ? size - share * back[i] : size), smallest);
            if (there == CELL)
                *(float_loose *)pixels = result;
            else
                memcpy(pixels, &result, (size_t)there * sizeof(float));
        }
        smallest = least_in(smallest, there);
        memcpy(least + x / CELL, &smallest, sizeof *least);
    }
}

/* Back along the rows of a pair that hold results; and the largest of all in these rows before anything is given back. */
INLINE void store_all(const struct float_tile *tile, const struct plane results[2], struct coarse *coarse, float share,
                      const struct float_seen *seen, float_bits *most)
{
    float_bits largest = {0};
    for (ptrdiff_t y = 0; y < results[0].rows || y < results[1].rows; y += CELL) {
        float_backward_lines(tile, y);
        for (int i = 0; i < 2; i++) {
            ptrdiff_t stored = y < results[i].rows ? cells_of(results[i].columns) * CELL : 0;
            if (coarse)
                coarse->means = seen->means[i];
            if (stored)
                store_strip(&results[i], y, tile->line, i, coarse, share, seen, &largest);
            for (ptrdiff_t x = stored; x < tile->columns; x++)
                largest = float_larger(largest, (float_bits)(i ? tile->line[x].im : tile->line[x].re) & NO_SIGN);
        }
    }
    *most = largest;
}
INLINE void store_squares_body(const struct float_tile *tile, const struct plane results[2], struct coarse *coarse, float share,
                               const struct float_seen *seen, float_bits *most)
{
    store_all(tile, results, coarse, share, seen, most);
}
INLINE void store_pair_body(const struct float_tile *tile, const struct plane results[2], const struct float_seen *seen,
                            float_bits *most)
{
    store_all(tile, results, NULL, 0, seen, most);
}
VERSIONS(store_squares,
         (const struct float_tile *tile, const struct plane results[2], struct coarse *coarse, float share,
          const struct float_seen *seen, float_bits *most),
         (tile, results, coarse, share, seen, most))
VERSIONS(store_pair,
         (const struct float_tile *tile, const struct plane results[2], const struct float_seen *seen, float_bits *most),
         (tile, results, seen, most))

/* The rows of a cell that hold results below a limit and a share of what means make of them. */
INLINE void rows_below_body(const struct plane *results, ptrdiff_t y, ptrdiff_t x, const struct coarse *coarse, float share,
                            float limit, uint8_t *rows)
{
    float_vector back[CELL];
    sum_squares(coarse, y, x, back);
    *rows = 0;
    for (int i = 0; i < CELL && y + i < results->rows; i++) {
        float_vector size = (float_vector)sizes_at(results, y + i, x) - share * back[i];
        float least;
        bits found = least_in((bits)size, least_of(results->columns - x, CELL));
        memcpy(&least, &found, sizeof least);
        *rows |= (uint8_t)((least < limit) << i);
    }
}
VERSIONS(rows_below,
         (const struct plane *results, ptrdiff_t y, ptrdiff_t x, const struct coarse *coarse, float share, float limit,
          uint8_t *rows),
         (results, y, x, coarse, share, limit, rows))
