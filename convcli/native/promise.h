/* The promise at each output of a pair of tiles: see convcli/methods/promise.py, which tells why.
 *
 * Needs the transforms of fourier.c. Outputs are marked in blocks of LANES x LANES: bit i of lane j is that of row i,
 * column j. Pixels are counted in cells of as many. All that is decided here follows from the pixels of the pair.
 */

enum { LEVELS = 3, ROUNDS = 3, POINT = 1, DEAR = 12, DENSE = 16 };

/* What results are judged by: for the limit that they are to reach, factors of the root of the energy, of the largest
 * pixel, and again of the root, whichever of these is smaller; the limits between which nothing is lost; the sum of the
 * taps without the `few` largest; the pixels that an output reads; and by how many pixels `near` is reduced. */
struct watch {
    double random, sum, norm, tiny, left[LEVELS];
    ptrdiff_t few[LEVELS], high, wide, step;
    const float *taps; /* of whole vectors: see `defined` */
    struct tile near;
    float *own, *pixels, *results, *blocks, *bounds;
    bits *marks;
    double *energies;
    int32_t *sums, *cells;
    char *wanted;
};

static const double DARK = 0.5, NEAR = 1.1, HUGE_LIMIT = 1e25;

/* What one transform of the pair, whose pixels were multiplied by 2^-`power`, was seen to hold. */
struct look {
    double root, most, limit;
    int power, reached, trusted;
};

typedef int32_t bits_loose __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t))));

INLINE int any(const bits *marks)
{
    int32_t found = 0;
    for (int j = 0; j < LANES; j++)
        found |= (*marks)[j];
    return found != 0;
}

INLINE ptrdiff_t cells_of(ptrdiff_t pixels) { return (pixels + LANES - 1) / LANES; }

static struct look look_at(const struct seen *seen, const struct watch *watch, int power)
{
    double energy = 0;
    int32_t largest = 0, smallest = NO_SIGN;
    float most, least;
    for (int i = 0; i < LANES; i++) {
        energy += (double)seen->energy[i];
        largest = seen->largest[i] > largest ? seen->largest[i] : largest;
        smallest = seen->smallest[i] < smallest ? seen->smallest[i] : smallest;
    }
    memcpy(&most, &largest, sizeof most), memcpy(&least, &smallest, sizeof least);
    double root = sqrt(energy), peak = watch->norm * root, sum = watch->sum * (double)most;
    struct look look = {root, most, watch->random * root + (sum < peak ? sum : peak), power, 0, 0};
    look.trusted = isfinite(energy) && look.limit >= watch->tiny && look.limit <= HUGE_LIMIT;
    look.reached = look.trusted && (double)least >= look.limit;
    return look;
}

/* The number of pixels in each cell whose size is below a limit. */
INLINE void count_small_body(const struct plane *pixels, float limit, int32_t *counts)
{
    for (ptrdiff_t y = 0; y < pixels->rows; y += LANES)
        for (ptrdiff_t x = 0; x < pixels->columns; x += LANES) {
            ptrdiff_t rows = pixels->rows - y < LANES ? pixels->rows - y : LANES;
            ptrdiff_t columns = pixels->columns - x < LANES ? pixels->columns - x : LANES;
            const char *from = pixels->data + y * pixels->step + x * (ptrdiff_t)sizeof(float);
            bits small = {0};
            int32_t count = 0;
            if (rows == LANES && columns == LANES) {
                for (ptrdiff_t i = 0; i < LANES; i++, from += pixels->step)
                    small -= ((vector)(*(const bits_loose *)from & NO_SIGN) < limit);
                small += __builtin_shufflevector(small, small, 4, 5, 6, 7, 0, 1, 2, 3);
                small += __builtin_shufflevector(small, small, 2, 3, 0, 1, 6, 7, 4, 5);
                count = small[0] + small[1];
            } else
                for (ptrdiff_t i = 0; i < rows; i++, from += pixels->step)
                    for (ptrdiff_t j = 0; j < columns; j++)
                        count += fabsf(((const float *)from)[j]) < limit;
            *counts++ = count;
        }
}
VERSIONS(count_small, (const struct plane *pixels, float limit, int32_t *counts), (pixels, limit, counts))

/* Sums over all cells before each: of the pixels below a limit or, if `others`, of those that are not. */
static void sum_cells(const struct plane *pixels, float limit, int others, const struct watch *watch)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns);
    count_small(pixels, limit, watch->cells);
    memset(watch->sums, 0, (size_t)(columns + 1) * sizeof *watch->sums);
    for (ptrdiff_t y = 0; y < rows; y++) {
        int32_t *above = watch->sums + y * (columns + 1), *here = above + columns + 1, run = 0;
        ptrdiff_t high = pixels->rows - y * LANES < LANES ? pixels->rows - y * LANES : LANES;
        here[0] = 0;
        for (ptrdiff_t x = 0; x < columns; x++) {
            ptrdiff_t wide = pixels->columns - x * LANES < LANES ? pixels->columns - x * LANES : LANES;
            int32_t count = watch->cells[y * columns + x];
            here[x + 1] = above[x + 1] + (run += others ? (int32_t)(high * wide) - count : count);
        }
    }
}

/* What was counted in all cells that the windows of a block of outputs touch. */
INLINE int32_t touched(const struct plane *pixels, const struct watch *watch, ptrdiff_t y, ptrdiff_t x)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns);
    ptrdiff_t down = y + cells_of(watch->high - 1) + 1, right = x + cells_of(watch->wide - 1) + 1;
    const int32_t *top = watch->sums + y * (columns + 1);
    const int32_t *bottom = watch->sums + (down < rows ? down : rows) * (columns + 1);
    right = right < columns ? right : columns;
    return bottom[right] - bottom[x] - top[right] + top[x];
}

/* The largest sum of squared pixels in all cells that the windows of any block of outputs touch. */
INLINE void find_energy_body(const struct plane *pixels, const struct plane *results, const struct watch *watch,
                             double *largest)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns);
    ptrdiff_t down = cells_of(watch->high - 1) + 1, across = cells_of(watch->wide - 1) + 1;
    for (ptrdiff_t y = 0; y < rows; y++)
        for (ptrdiff_t x = 0; x < columns; x++) {
            ptrdiff_t high = pixels->rows - y * LANES, wide = pixels->columns - x * LANES;
            vector energy = {0};
            double sum = 0;
            for (ptrdiff_t i = 0; i < LANES && i < high; i++) {
                const float *row = (const float *)(pixels->data + (y * LANES + i) * pixels->step) + x * LANES;
                vector values = {0};
                if (wide >= LANES)
                    values = *(const loose *)row;
                else
                    memcpy(&values, row, (size_t)wide * sizeof *row);
                energy += values * values;
            }
            for (int i = 0; i < LANES; i++)
                sum += (double)energy[i];
            watch->energies[y * columns + x] = sum;
        }
    for (ptrdiff_t x = 0; x < columns; x++)
        for (ptrdiff_t y = 0; y < rows; y++) { /* sums down, in place: what is below is still as it was */
            double sum = 0;
            for (ptrdiff_t i = y; i < y + down && i < rows; i++)
                sum += watch->energies[i * columns + x];
            watch->energies[y * columns + x] = sum;
        }
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++) {
            double sum = 0;
            for (ptrdiff_t j = x; j < x + across && j < columns; j++)
                sum += watch->energies[y * columns + j];
            *largest = sum > *largest ? sum : *largest;
        }
}
VERSIONS(find_energy,
         (const struct plane *pixels, const struct plane *results, const struct watch *watch, double *largest),
         (pixels, results, watch, largest))

/* The limit, given the pixels that a window holds at the most. */
static void narrow(struct look *look, const struct plane pixels[2], const struct plane results[2],
                   const struct watch *watch)
{
    double largest = 0;
    for (int i = 0; i < 2; i++)
        find_energy(&pixels[i], &results[i], watch, &largest);
    double peak = watch->norm * sqrt(largest), sum = watch->sum * look->most;
    double limit = watch->random * look->root + (sum < peak ? sum : peak);
    look->limit = limit < look->limit ? limit : look->limit;
    look->trusted = look->trusted && look->limit >= watch->tiny;
}

/* Take the marks off blocks of outputs in whose windows no more than a few pixels are so small that the others might not
 * do: how many blocks are left. */
static ptrdiff_t vouch(const struct plane *pixels, const struct plane *results, double limit, int level,
                       const struct watch *watch, bits *marks)
{
    ptrdiff_t left = 0;
    if (watch->left[level] > 0)
        sum_cells(pixels, (float)(limit / watch->left[level]), 0, watch);
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++)
            if (watch->left[level] > 0 && touched(pixels, watch, y, x) <= watch->few[level])
                *marks = (bits){0};
            else
                left += any(marks);
    return left;
}

/* Sums of sizes over step x step pixels, side by side. */
INLINE void reduce_body(const struct plane *pixels, const struct plane *to, ptrdiff_t step)
{
    for (ptrdiff_t y = 0; y < to->rows; y++) {
        float *sums = (float *)(to->data + y * to->step);
        memset(sums, 0, (size_t)to->columns * sizeof *sums);
        for (ptrdiff_t i = y * step; i < (y + 1) * step && i < pixels->rows; i++) {
            const float *row = (const float *)(pixels->data + i * pixels->step);
            if (step == 1)
                for (ptrdiff_t x = 0; x < pixels->columns; x++)
                    sums[x] = fabsf(row[x]);
            else {
                for (ptrdiff_t x = 0; x < pixels->columns / 2; x++)
                    sums[x] += fabsf(row[2 * x]) + fabsf(row[2 * x + 1]);
                if (pixels->columns % 2)
                    sums[pixels->columns / 2] += fabsf(row[pixels->columns - 1]);
            }
        }
    }
}
VERSIONS(reduce, (const struct plane *pixels, const struct plane *to, ptrdiff_t step), (pixels, to, step))

/* Bounds from below of (|k| * |x|), but for rounding, for blocks of step x step outputs. */
static void find_bounds(const struct plane pixels[2], const struct watch *watch, struct plane bounds[2])
{
    const struct tile *near = &watch->near;
    ptrdiff_t step = near->columns * (ptrdiff_t)sizeof(float), size = near->rows * near->columns;
    struct plane blocks[2];
    for (int i = 0; i < 2; i++) {
        ptrdiff_t rows = (pixels[i].rows + watch->step - 1) / watch->step;
        ptrdiff_t columns = (pixels[i].columns + watch->step - 1) / watch->step;
        rows = rows < near->rows ? rows : near->rows, columns = columns < near->columns ? columns : near->columns;
        blocks[i] = (struct plane){(char *)(watch->blocks + i * size), rows, columns, step};
        bounds[i] = (struct plane){(char *)(watch->bounds + i * size), near->rows, near->columns, step};
        reduce(&pixels[i], &blocks[i], watch->step);
    }
    correlate_tile(near, blocks, bounds);
}

/* Of eight outputs, which neither have reached the limit nor lie where the bound has. */
INLINE bits doubtful(const float *results, ptrdiff_t there, float limit, const float *bounds, ptrdiff_t step,
                     float near)
{
    vector values = {0}, sizes = {0};
    if (there >= LANES)
        values = *(const loose *)results;
    else
        memcpy(&values, results, (size_t)there * sizeof(float));
    if (bounds && step == 1)
        sizes = *(const loose *)bounds;
    else if (bounds) {
        float b[LANES / 2];
        memcpy(b, bounds, sizeof b);
        sizes = (vector){b[0], b[0], b[1], b[1], b[2], b[2], b[3], b[3]};
    }
    return ~((vector)((bits)values & NO_SIGN) >= limit) & ~(sizes >= near);
}

/* Keep the marks of doubtful outputs alone: how many. `bounds` may be NULL. */
INLINE void mark_body(const struct plane *results, double limit, const struct plane *bounds, const struct watch *watch,
                      bits *marks, ptrdiff_t *points)
{
    bits count = {0};
    for (ptrdiff_t y = 0; y < results->rows; y += LANES)
        for (ptrdiff_t x = 0; x < results->columns; x += LANES, marks++) {
            bits still = {0};
            for (ptrdiff_t i = 0; i < LANES && y + i < results->rows; i++) {
                const float *bound = NULL;
                if (bounds)
                    bound = (const float *)(bounds->data + (y + i) / watch->step * bounds->step) + x / watch->step;
                bits which = doubtful((const float *)(results->data + (y + i) * results->step) + x,
                                      results->columns - x, (float)limit, bound, watch->step, (float)(NEAR * limit));
                still |= which & *marks & (int32_t)(1 << i);
                count -= which & -((*marks >> (int32_t)i) & 1);
            }
            *marks = still;
        }
    for (int i = 0; i < LANES; i++)
        *points += count[i];
}
VERSIONS(mark,
         (const struct plane *results, double limit, const struct plane *bounds, const struct watch *watch, bits *marks,
          ptrdiff_t *points),
         (results, limit, bounds, watch, marks, points))

/* All outputs of a tile, marked. */
static void mark_all(const struct plane *results, bits *marks)
{
    for (ptrdiff_t y = 0; y < results->rows; y += LANES)
        for (ptrdiff_t x = 0; x < results->columns; x += LANES, marks++)
            for (int j = 0; j < LANES; j++) {
                ptrdiff_t rows = results->rows - y < LANES ? results->rows - y : LANES;
                (*marks)[j] = x + j < results->columns ? (1 << rows) - 1 : 0;
            }
}

/* The taps that meet anything but zeros. */
struct part {
    ptrdiff_t top, bottom, left, right;
};

/* Those of any output of a block. The plane is one of `bring_near`. */
INLINE struct part find_part(const struct plane *pixels, ptrdiff_t y, ptrdiff_t x, const struct watch *watch)
{
    bits columns[LONGEST / LANES + 1] = {{0}};
    ptrdiff_t vectors = cells_of(watch->wide + LANES - 1), high = watch->high + LANES - 1;
    struct part part = {watch->high, 0, watch->wide, 0};
    for (ptrdiff_t i = 0; i < high && y + i < pixels->rows; i++) {
        const int32_t *row = (const int32_t *)(pixels->data + (y + i) * pixels->step) + x;
        bits seen = {0};
        for (ptrdiff_t c = 0; c < vectors && x + c * LANES < pixels->columns; c++) {
            bits here = *(const bits_loose *)(row + c * LANES) & NO_SIGN;
            seen |= here;
            columns[c] |= here;
        }
        if (any(&seen)) {
            ptrdiff_t top = i - LANES + 1 > 0 ? i - LANES + 1 : 0;
            part.top = top < part.top ? top : part.top;
            part.bottom = i + 1 < watch->high ? i + 1 : watch->high;
        }
    }
    for (ptrdiff_t j = 0; j < vectors * LANES; j++)
        if (columns[j / LANES][j % LANES]) {
            ptrdiff_t left = j - LANES + 1 > 0 ? j - LANES + 1 : 0;
            part.left = left < part.left ? left : part.left;
            part.right = j + 1 < watch->wide ? j + 1 : watch->wide;
        }
    part.top = part.top < part.bottom ? part.top : part.bottom;
    return part;
}

/* Some vectors side by side of the window of an output, times their taps, added up. */
INLINE vector add_up(const char *window, ptrdiff_t step, const float *taps, ptrdiff_t high, ptrdiff_t pitch,
                     ptrdiff_t last, const int count)
{
    vector sums[2][4] = {{{0}}}, sum = {0};
    ptrdiff_t y = 0;
    for (; y + 1 < high; y += 2)
        for (int i = 0; i < 2; i++, window += step, taps += pitch)
            for (int c = 0; c < count; c++)
                sums[i][c] += *(const loose *)((const float *)window + (c == count - 1 ? last : c * LANES)) *
                              *(const loose *)(taps + c * LANES);
    for (int c = 0; c < count && y < high; c++)
        sums[0][c] += *(const loose *)((const float *)window + (c == count - 1 ? last : c * LANES)) *
                      *(const loose *)(taps + c * LANES);
    for (int c = 0; c < count; c++)
        sum += sums[0][c] + sums[1][c];
    return sum;
}

/* One output by the definition. The last vector of each row of taps ends where the row does, so that no pixel beyond the
 * window is read; taps that the one before has, too, are 0 there. Rows shorter than a vector are added one by one. */
INLINE float defined(const char *window, ptrdiff_t step, const struct watch *watch, const struct part *part)
{
    ptrdiff_t vectors = cells_of(watch->wide), pitch = vectors * LANES;
    ptrdiff_t high = part->bottom - part->top;
    const float *rows = watch->taps + part->top * pitch;
    vector sums = {0};
    double sum = 0;
    window += part->top * step;
    if (watch->wide < LANES)
        for (ptrdiff_t y = 0; y < high; y++)
            for (ptrdiff_t x = 0; x < watch->wide; x++)
                sum += (double)((const float *)(window + y * step))[x] * (double)rows[y * pitch + x];
    for (ptrdiff_t c = 0; watch->wide >= LANES && c < vectors; c += 4) {
        ptrdiff_t here = vectors - c < 4 ? vectors - c : 4, first = c * LANES;
        ptrdiff_t last = c + here == vectors ? watch->wide - LANES - first : (here - 1) * LANES;
        const char *from = window + first * (ptrdiff_t)sizeof(float);
        const float *taps = rows + first;
        sums += here == 1   ? add_up(from, step, taps, high, pitch, last, 1)
                : here == 2 ? add_up(from, step, taps, high, pitch, last, 2)
                : here == 3 ? add_up(from, step, taps, high, pitch, last, 3)
                            : add_up(from, step, taps, high, pitch, last, 4);
    }
    for (int i = 0; i < LANES; i++)
        sum += (double)sums[i];
    return (float)sum;
}

/* A whole block by the definition: row by row of the taps, so that few values are added up at a time. */
INLINE void define_block(const char *window, ptrdiff_t step, const struct watch *watch, const struct part *part,
                         vector made[LANES])
{
    ptrdiff_t vectors = cells_of(watch->wide), pitch = vectors * LANES, whole = watch->wide < LANES ? 0 : vectors - 1;
    for (int i = 0; i < LANES; i++)
        made[i] = (vector){0};
    window += part->top * step;
    for (ptrdiff_t y = part->top; y < part->bottom; y++, window += step) {
        vector sums[LANES] = {{0}};
        const float *taps = watch->taps + y * pitch, *pixels = (const float *)window;
        for (ptrdiff_t x = part->left; x < part->right; x++) {
            float tap = taps[x < whole * LANES || !whole ? x : x + pitch - watch->wide];
            for (ptrdiff_t i = 0; i < LANES; i++)
                sums[i] += *(const loose *)((const float *)((const char *)(pixels + x) + i * step)) * tap;
        }
        for (int i = 0; i < LANES; i++)
            made[i] += sums[i];
    }
}

/* All marked outputs of a block by the definition. */
INLINE void define_body(const struct plane *pixels, const struct plane *results, ptrdiff_t y, ptrdiff_t x, const bits *marks,
                        const struct watch *watch)
{
    vector made[LANES];
    int points = 0;
    for (int j = 0; j < LANES; j++)
        points += __builtin_popcount((unsigned)(*marks)[j]);
    struct part part = find_part(pixels, y, x, watch);
    int dense = points >= DENSE && y + LANES <= results->rows && x + LANES <= results->columns;
    if (dense)
        define_block(pixels->data + y * pixels->step + x * (ptrdiff_t)sizeof(float), pixels->step, watch, &part, made);
    for (ptrdiff_t i = 0; i < LANES; i++)
        for (ptrdiff_t j = 0; j < LANES; j++)
            if ((*marks)[j] >> i & 1) {
                const char *window = pixels->data + (y + i) * pixels->step + (x + j) * (ptrdiff_t)sizeof(float);
                ((float *)(results->data + (y + i) * results->step))[x + j] =
                    dense ? made[i][j] : defined(window, pixels->step, watch, &part);
            }
}
VERSIONS(define,
         (const struct plane *pixels, const struct plane *results, ptrdiff_t y, ptrdiff_t x, const bits *marks,
          const struct watch *watch),
         (pixels, results, y, x, marks, watch))

/* Marked outputs of a block from another plane, times 2^power. */
static void take(const struct plane *from, const struct plane *to, ptrdiff_t y, ptrdiff_t x, const bits *marks, int power)
{
    for (ptrdiff_t i = 0; i < LANES; i++)
        for (ptrdiff_t j = 0; j < LANES; j++)
            if ((*marks)[j] >> i & 1)
                ((float *)(to->data + (y + i) * to->step))[x + j] =
                    ldexpf(((const float *)(from->data + (y + i) * from->step))[x + j], power);
}

/* 0 where no window of a block of marked outputs touches a cell with any other pixel: how many marks are taken away. */
static ptrdiff_t clear_empty(const struct plane *pixels, const struct plane *results, const struct watch *watch,
                             bits *marks)
{
    ptrdiff_t points = 0;
    sum_cells(pixels, 1e-45f, 1, watch);
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++)
            if (any(marks) && !touched(pixels, watch, y, x)) {
                for (ptrdiff_t i = y * LANES; i < (y + 1) * LANES && i < results->rows; i++)
                    for (ptrdiff_t j = x * LANES; j < (x + 1) * LANES && j < results->columns; j++)
                        if ((*marks)[j % LANES] >> i % LANES & 1)
                            ((float *)(results->data + i * results->step))[j] = 0, points++;
                *marks = (bits){0};
            }
    return points;
}

/* Which cells the dark blocks among the marked ones read, those that touch no pixel of a size: how many. All others are
 * taken out of the marks and defined. */
static ptrdiff_t want_dark(const struct plane *pixels, const struct plane *results, float size,
                           const struct watch *watch, bits *marks, char *wanted)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns), count = 0;
    ptrdiff_t down = cells_of(watch->high - 1) + 1, across = cells_of(watch->wide - 1) + 1;
    sum_cells(pixels, size, 1, watch);
    memset(wanted, 0, (size_t)(rows * columns));
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++) {
            if (!any(marks))
                continue;
            if (touched(pixels, watch, y, x)) {
                define(pixels, results, y * LANES, x * LANES, marks, watch);
                *marks = (bits){0};
                continue;
            }
            for (ptrdiff_t i = y; i < y + down && i < rows; i++)
                memset(wanted + i * columns + x, 1, (size_t)(columns - x < across ? columns - x : across));
        }
    for (ptrdiff_t i = 0; i < rows * columns; i++)
        count += wanted[i];
    return count;
}

/* The number of marked outputs that lie in no dark block. */
static ptrdiff_t count_mixed(const struct plane *pixels, const struct plane *results, float size,
                             const struct watch *watch, const bits *marks)
{
    bits count = {0};
    ptrdiff_t points = 0;
    sum_cells(pixels, size, 1, watch);
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++)
            if (touched(pixels, watch, y, x))
                for (int32_t i = 0; i < LANES; i++)
                    count += *marks >> i & 1;
    for (int i = 0; i < LANES; i++)
        points += count[i];
    return points;
}

/* Wanted cells of pixels times 2^-power, and zeros. */
static void copy_wanted(const struct plane *pixels, const struct plane *to, const char *wanted, int power)
{
    double scale = ldexp(1.0, -power);
    for (ptrdiff_t y = 0; y < to->rows; y++) {
        const float *from = (const float *)(pixels->data + y * pixels->step);
        float *copy = (float *)(to->data + y * to->step);
        const char *cells = wanted + y / LANES * cells_of(to->columns);
        for (ptrdiff_t x = 0; x < to->columns; x += LANES) {
            ptrdiff_t there = to->columns - x < LANES ? to->columns - x : LANES;
            for (ptrdiff_t j = 0; j < there; j++)
                copy[x + j] = cells[x / LANES] ? (float)((double)from[x + j] * scale) : 0.0f;
        }
    }
}

/* A copy of pixels, in rows so far apart that they do not fall into one set of the cache; zeros lie between them. */
static void bring_near(struct plane *pixels, float *to, ptrdiff_t pitch)
{
    for (ptrdiff_t y = 0; y < pixels->rows; y++) {
        memcpy(to + y * pitch, pixels->data + y * pixels->step, (size_t)pixels->columns * sizeof *to);
        memset(to + y * pitch + pixels->columns, 0, (size_t)(pitch - pixels->columns) * sizeof *to);
    }
    pixels->data = (char *)to;
    pixels->step = pitch * (ptrdiff_t)sizeof *to;
}

/* See to all results of a pair that rounding may have spoilt. Whether they are: else they are too many for the
 * definition. */
static int settle(const struct tile *tile, struct seen *first, const struct plane whole[2],
                  const struct plane results[2], const struct watch *watch)
{
    struct look look = look_at(first, watch, 0);
    if (look.most == 0 || look.reached || !isfinite(look.most))
        return 1; /* what becomes of NaN and infinities is seen to by the caller */
    struct plane pixels[2], scratch[2], copies[2], bounds[2];
    bits *marks[2] = {watch->marks, watch->marks + tile->rows * tile->columns / (LANES * LANES)};
    char *wanted[2] = {watch->wanted, watch->wanted + tile->rows * tile->columns / (LANES * LANES)};
    ptrdiff_t size = tile->rows * tile->columns, step = tile->columns * (ptrdiff_t)sizeof(float), read = 0;
    int tiles = results[1].rows ? 2 : 1, levels = 4;
    for (ptrdiff_t n = tile->rows * tile->columns; n > 1; n /= 2)
        levels++;
    copies[1] = scratch[1] = (struct plane){(char *)watch->pixels, 0, 0, step};
    pixels[1] = copies[1];
    for (int i = 0; i < tiles; i++) {
        ptrdiff_t rows = results[i].rows + watch->high - 1, columns = results[i].columns + watch->wide - 1;
        pixels[i] = whole[i], pixels[i].rows = rows, pixels[i].columns = columns;
        read += rows * columns;
        copies[i] = (struct plane){(char *)(watch->pixels + i * size), rows, columns, step};
        scratch[i] = (struct plane){(char *)(watch->results + i * size), results[i].rows, results[i].columns, step};
    }
    ptrdiff_t blocks = 0;
    for (int i = 0; i < tiles; i++) {
        mark_all(&results[i], marks[i]);
        blocks += look.trusted ? vouch(&pixels[i], &results[i], look.limit, 1, watch, marks[i]) : 1;
    }
    if (!blocks)
        return 1;
    for (int i = 0; i < tiles; i++)
        bring_near(&pixels[i], watch->own + i * tile->rows * (tile->columns + MARGIN), tile->columns + MARGIN);
    double each = POINT * (double)watch->high * (double)cells_of(watch->wide), transform = (double)size * levels;
    for (int round = 0;; round++) {
        const struct plane *made = round ? scratch : results, *from = round ? copies : pixels;
        ptrdiff_t points = 0, mixed = 0, cells = 0;
        if (look.trusted)
            narrow(&look, from, results, watch);
        for (int i = 0; i < tiles; i++) {
            for (int level = 0; level < LEVELS && look.trusted; level++)
                vouch(&pixels[i], &results[i], ldexp(look.limit, look.power), level, watch, marks[i]);
            mark(&made[i], look.trusted ? look.limit : NAN, NULL, watch, marks[i], &points);
            points -= clear_empty(&pixels[i], &results[i], watch, marks[i]);
        }
        if (look.trusted && watch->step && (double)points * each > transform / 4) {
            find_bounds(from, watch, bounds);
            points = 0;
            for (int i = 0; i < tiles; i++)
                mark(&made[i], look.limit, &bounds[i], watch, marks[i], &points);
        }
        if (!points)
            return 1;
        double dark = ldexp(DARK * look.root / sqrt((double)read), look.power), spread = ldexp(look.most, look.power);
        int last = round == ROUNDS || (round && !look.trusted) || (double)points * each <= transform;
        float below = last ? 0.0f : look.trusted && dark < spread ? (float)dark : INFINITY;
        for (int i = 0; i < tiles; i++)
            mixed += last ? 0 : count_mixed(&pixels[i], &results[i], below, watch, marks[i]);
        if ((double)(last ? points : mixed) * each > DEAR * transform)
            return 0;
        for (int i = 0; i < tiles; i++)
            cells += want_dark(&pixels[i], &results[i], below, watch, marks[i], wanted[i]);
        if (!cells)
            return 1;
        double largest = below < spread ? below : spread;
        int power = ilogb(largest), less = power + ilogb(watch->norm > 0 ? watch->norm : 1);
        power = less > power + 40 ? power + 40 : less < power - 40 ? power - 40 : less;
        struct seen seen = {.smallest = (bits){0} + NO_SIGN};
        for (int i = 0; i < tiles; i++)
            copy_wanted(&pixels[i], &copies[i], wanted[i], power);
        watch_tile(tile, copies, scratch, &seen);
        look = look_at(&seen, watch, power);
        read = cells * LANES * LANES;
        for (int i = 0; i < tiles && look.trusted; i++)
            for (ptrdiff_t y = 0, n = 0; y < results[i].rows; y += LANES)
                for (ptrdiff_t x = 0; x < results[i].columns; x += LANES, n++)
                    if (any(&marks[i][n]))
                        take(&scratch[i], &results[i], y, x, &marks[i][n], power);
    }
}
