using System.Data.Common;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>One registered object as a row: reads it, and creates or updates it only when something differs.</summary>
/// <param name="keys">The key's columns.</param>
/// <param name="columns">The columns that follow the file, in the order of the values.</param>
/// <param name="onInsert">Columns that are set once, when the row is created.</param>
/// <param name="stamped">Whether the row carries <c>changed_at</c>.</param>
internal sealed class UpsertTable(string table, string[] keys, string[] columns, string[] onInsert, bool stamped = true)
{
    private readonly Sql select = new($"select {string.Join(", ", columns)} from {table} where {Where(keys)}");
    private readonly Sql insert = Insert(table, [.. keys, .. columns, .. onInsert, .. stamped ? ["changed_at"] : Array.Empty<string>()]);
    private readonly Sql update = new(
        $"update {table} set {string.Join(", ", columns.Concat(stamped ? ["changed_at"] : []).Select(c => $"{c} = @{c}"))} where {Where(keys)}");

    /// <returns>The columns' values (string, long or null), or null when there is no such row.</returns>
    public object?[]? Read(WriteTx tx, params object?[] key) => tx.First<object?[]>(select.With(key), Values);

    /// <param name="stored">What <see cref="Read"/> returned in this transaction.</param>
    /// <param name="initial">The values of the columns set on insert; called only then.</param>
    /// <returns>The columns that changed: all of them for a new row, none when the row is as it should be.</returns>
    public IReadOnlyList<string> Write(WriteTx tx, object?[] key, object?[]? stored, object?[] values, long now, Func<object?[]>? initial = null)
    {
        object?[] stamp = stamped ? [now] : [];
        if (stored is null)
        {
            tx.Run(insert.With([.. key, .. values, .. initial?.Invoke() ?? [], .. stamp]));
            return columns;
        }
        var changed = columns.Where((_, i) => !Equals(stored[i], values[i])).ToArray();
        if (changed.Length > 0)
            tx.Run(update.With([.. values, .. stamp, .. key]));
        return changed;
    }

    private object?[] Values(DbDataReader row) => [.. Enumerable.Range(0, columns.Length).Select(i => row.IsDBNull(i) ? null : row.GetValue(i))];

    private static string Where(string[] keys) => string.Join(" and ", keys.Select(k => $"{k} = @{k}"));

    private static Sql Insert(string table, string[] all) =>
        new($"insert into {table} ({string.Join(", ", all)}) values ({string.Join(", ", all.Select(c => "@" + c))})");
}
