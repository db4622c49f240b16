using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace McpAuthServer.Storage;

/// <summary>One numbered step of the schema, <c>NNNN_name.sql</c>, embedded in the server.</summary>
/// <param name="Checksum">Lower-case hexadecimal SHA-256 of the text with <c>\n</c> line ends.</param>
internal sealed record Migration(int Number, string Name, string Text, string Checksum)
{
    public static Migration Of(string fileName, string text)
    {
        var stem = Path.GetFileNameWithoutExtension(fileName);
        text = text.ReplaceLineEndings("\n");
        return new(
            int.Parse(stem.AsSpan(0, 4), NumberStyles.None, CultureInfo.InvariantCulture), stem[5..], text,
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))));
    }

    /// <summary>Those of one provider (<c>sqlite</c>, <c>postgres</c>), in order.</summary>
    public static IReadOnlyList<Migration> Embedded(string provider)
    {
        var assembly = typeof(Migration).Assembly;
        var prefix = $"{typeof(Migration).Namespace}.Migrations.{provider}.";
        return [.. assembly.GetManifestResourceNames().Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).Select(Read).OrderBy(m => m.Number)];

        Migration Read(string name)
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            return Of(name[prefix.Length..], reader.ReadToEnd());
        }
    }

    /// <summary>What is left to apply.</summary>
    /// <exception cref="MigrationRefusedException">The database was made by a newer server, or by another text of a migration.</exception>
    public static IReadOnlyList<Migration> Pending(IReadOnlyList<Migration> known, IReadOnlyList<AppliedMigration> applied)
    {
        foreach (var done in applied)
        {
            var same = known.FirstOrDefault(m => m.Number == done.Number)
                ?? throw new MigrationRefusedException(
                    $"The database has migration {done.Number:0000}_{done.Name}, which this server does not know: it belongs to a newer one.");
            if (same.Checksum != done.Checksum)
                throw new MigrationRefusedException(
                    $"Migration {done.Number:0000}_{done.Name} was changed after it was applied: {done.Checksum} in the database, {same.Checksum} here.");
        }
        var last = applied.Count == 0 ? 0 : applied.Max(a => a.Number);
        var pending = known.Where(m => applied.All(a => a.Number != m.Number)).ToList();
        if (pending.Find(m => m.Number < last) is { } late)
            throw new MigrationRefusedException($"Migration {late.Number:0000}_{late.Name} is missing below {last:0000}, which is applied.");
        return pending;
    }
}

/// <summary>A row of <c>schema_migrations</c>.</summary>
internal sealed record AppliedMigration(int Number, string Name, string Checksum);

/// <summary>The server must not run on this database; the message says why, for the operator.</summary>
public sealed class MigrationRefusedException(string message) : Exception(message);
