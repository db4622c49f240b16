using System.Collections.Concurrent;
using McpAuthServer.Storage;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata;

namespace McpAuthServer.People;

/// <summary>The changed rows of a context and the event that tells of them, as one unit.</summary>
internal sealed class AccountWrites(AccountChange change, IReadOnlyList<Statement> rows) : Unit<bool>
{
    // Statements are prepared by their identity. There are as many as there are shapes of change: a few.
    private static readonly ConcurrentDictionary<string, Sql> Known = new(StringComparer.Ordinal);

    public override StateLock Lock => change.Lock;

    /// <exception cref="DbUpdateConcurrencyException">A row is not what was read, or a precondition does not hold; nothing is written.</exception>
    public override bool Apply(WriteTx tx)
    {
        if ((change.First is null ? [] : change.First(tx)) is not { } effects)
            throw new DbUpdateConcurrencyException("A precondition of the change does not hold.");
        foreach (var row in rows)
            if (tx.Run(row) == 0)
                throw new DbUpdateConcurrencyException("The row was changed or removed since it was read.");
        tx.Append(change.Event);
        foreach (var e in effects)
            tx.Append(e);
        return true;
    }

    /// <summary>What the tracked changes are in SQL: what refers goes before what is referred to, and comes after it.</summary>
    public static IReadOnlyList<Statement> Of(IEnumerable<EntityEntry> entries) =>
    [
        .. from entry in entries
           let rank = (entry.State, entry.Entity) switch
           {
               (EntityState.Deleted, not Account) => 0,
               (EntityState.Deleted, _) => 1,
               (EntityState.Added or EntityState.Modified, Account) => 2,
               (EntityState.Added or EntityState.Modified, _) => 3,
               _ => -1,
           }
           where rank >= 0
           orderby rank
           select Statement(entry),
    ];

    private static Statement Statement(EntityEntry entry)
    {
        var type = entry.Metadata;
        var table = StoreObjectIdentifier.Create(type, StoreObjectType.Table) ?? throw new InvalidOperationException($"{type} has no table.");
        string Column(PropertyEntry property) =>
            property.Metadata.GetColumnName(table) ?? throw new InvalidOperationException($"{property.Metadata} has no column.");

        var properties = entry.Properties.ToList();
        var which = properties.Where(p => p.Metadata.IsPrimaryKey() || p.Metadata.IsConcurrencyToken).ToList();
        var where = string.Join(" and ", which.Select(p => $"{Column(p)} = @is_{Column(p)}"));
        var were = which.Select(p => Value(p, p.OriginalValue));
        switch (entry.State)
        {
            case EntityState.Added:
                // A temporary key stands for one that the database gives.
                var set = properties.Where(p => !p.IsTemporary).ToList();
                return Sql($"insert into {table.Name} ({Join(set, Column)}) values ({Join(set, p => "@" + Column(p))})").With([.. set.Select(p => Value(p, p.CurrentValue))]);
            case EntityState.Deleted:
                return Sql($"delete from {table.Name} where {where}").With([.. were]);
            default:
                var changed = properties.Where(p => p.IsModified && !p.Metadata.IsPrimaryKey()).ToList();
                return Sql($"update {table.Name} set {Join(changed, p => $"{Column(p)} = @{Column(p)}")} where {where}")
                    .With([.. changed.Select(p => Value(p, p.CurrentValue)), .. were]);
        }
    }

    private static object? Value(PropertyEntry property, object? value) =>
        property.Metadata.GetTypeMapping().Converter is { } converter ? converter.ConvertToProvider(value) : value;

    private static string Join(IEnumerable<PropertyEntry> properties, Func<PropertyEntry, string> text) => string.Join(", ", properties.Select(text));

    private static Sql Sql(string text) => Known.GetOrAdd(text, static t => new Sql(t));
}
