using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>
/// A statement prepared once and run many times. On the library's own calls: the ADO.NET command costs more than the statement does.
/// </summary>
internal sealed class SqliteStatement : IDisposable
{
    private readonly sqlite3 db;
    private readonly sqlite3_stmt handle;
    private readonly bool readOnly;

    public SqliteStatement(sqlite3 db, string text)
    {
        this.db = db;
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v3(db, text, raw.SQLITE_PREPARE_PERSISTENT, out handle), db);
        readOnly = raw.sqlite3_stmt_readonly(handle) != 0;
        Reader = new SqliteRowReader(handle);
    }

    /// <summary>The current row, after <see cref="Step"/> returned true and until <see cref="Reset"/>.</summary>
    public SqliteRowReader Reader { get; }

    /// <summary>Rows changed by the last run; a statement that writes nothing changed none.</summary>
    public int Changes => readOnly ? 0 : raw.sqlite3_changes(db);

    public void Bind(object?[] values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            switch (values[i])
            {
                case null: BindNull(i + 1); break;
                case string text: Bind(i + 1, text); break;
                case long number: Bind(i + 1, number); break;
                case int number: Bind(i + 1, number); break;
                case bool flag: Bind(i + 1, flag ? 1 : 0); break;
                case byte[] bytes: Check(raw.sqlite3_bind_blob(handle, i + 1, bytes)); break;
                case var other: throw new ArgumentException($"A {other.GetType().Name} cannot be bound.");
            }
        }
    }

    public void BindNull(int index) => Check(raw.sqlite3_bind_null(handle, index));

    public void Bind(int index, long value) => Check(raw.sqlite3_bind_int64(handle, index, value));

    /// <summary>Text that is UTF-8 already.</summary>
    public void Bind(int index, ReadOnlySpan<byte> utf8) => Check(raw.sqlite3_bind_text(handle, index, utf8));

    public void Bind(int index, string? text)
    {
        if (text is null)
        {
            BindNull(index);
            return;
        }
        const int Small = 256;
        var size = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = null;
        var room = size <= Small ? stackalloc byte[Small] : rented = ArrayPool<byte>.Shared.Rent(size);
        Bind(index, room[..Encoding.UTF8.GetBytes(text, room)]);
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
    }

    /// <summary>True on a row, false at the end.</summary>
    public bool Step()
    {
        var code = raw.sqlite3_step(handle);
        if (code == raw.SQLITE_ROW) return true;
        SqliteException.ThrowExceptionForRC(code, db);
        return false;
    }

    /// <summary>Ends the run and with it the statement's hold on the database; what it returns repeats what <see cref="Step"/> threw.</summary>
    public void Reset() => _ = raw.sqlite3_reset(handle);

    public void Dispose()
    {
        Reader.Dispose();
        handle.Dispose();
    }

    private void Check(int code) => SqliteException.ThrowExceptionForRC(code, db);
}
