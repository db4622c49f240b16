using System.Collections;
using System.Data.Common;
using SQLitePCL;

namespace McpAuthServer.Storage.Sqlite;

/// <summary>The current row of a prepared statement. It moves nowhere by itself: <see cref="SqliteSession"/> steps.</summary>
internal sealed class SqliteRowReader(sqlite3_stmt statement) : DbDataReader
{
    public override int FieldCount => raw.sqlite3_column_count(statement);
    public override bool HasRows => raw.sqlite3_data_count(statement) > 0;
    public override bool IsClosed => false;
    public override int Depth => 0;
    public override int RecordsAffected => -1;
    public override object this[int ordinal] => GetValue(ordinal);
    public override object this[string name] => GetValue(GetOrdinal(name));

    public override bool IsDBNull(int ordinal) => Type(ordinal) == raw.SQLITE_NULL;
    public override long GetInt64(int ordinal) => raw.sqlite3_column_int64(statement, Present(ordinal));
    public override int GetInt32(int ordinal) => checked((int)GetInt64(ordinal));
    public override short GetInt16(int ordinal) => checked((short)GetInt64(ordinal));
    public override byte GetByte(int ordinal) => checked((byte)GetInt64(ordinal));
    public override bool GetBoolean(int ordinal) => GetInt64(ordinal) != 0;
    public override double GetDouble(int ordinal) => raw.sqlite3_column_double(statement, Present(ordinal));
    public override float GetFloat(int ordinal) => (float)GetDouble(ordinal);
    public override string GetString(int ordinal) => raw.sqlite3_column_text(statement, Present(ordinal)).utf8_to_string();

    public override object GetValue(int ordinal) => Type(ordinal) switch
    {
        raw.SQLITE_NULL => DBNull.Value,
        raw.SQLITE_INTEGER => GetInt64(ordinal),
        raw.SQLITE_FLOAT => GetDouble(ordinal),
        raw.SQLITE_BLOB => Blob(ordinal),
        _ => GetString(ordinal),
    };

    public override T GetFieldValue<T>(int ordinal) =>
        typeof(T) == typeof(byte[]) ? (T)(object)Blob(ordinal)
        : typeof(T) == typeof(long) ? (T)(object)GetInt64(ordinal)
        : typeof(T) == typeof(int) ? (T)(object)GetInt32(ordinal)
        : typeof(T) == typeof(bool) ? (T)(object)GetBoolean(ordinal)
        : (T)GetValue(ordinal);

    public override int GetValues(object[] values)
    {
        var count = Math.Min(values.Length, FieldCount);
        for (var i = 0; i < count; i++) values[i] = GetValue(i);
        return count;
    }

    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length)
    {
        var blob = Blob(ordinal);
        if (buffer is null) return blob.Length;
        var count = (int)Math.Min(length, blob.Length - dataOffset);
        blob.AsSpan((int)dataOffset, count).CopyTo(buffer.AsSpan(bufferOffset));
        return count;
    }

    public override string GetName(int ordinal) => raw.sqlite3_column_name(statement, ordinal).utf8_to_string();

    public override int GetOrdinal(string name)
    {
        for (var i = 0; i < FieldCount; i++)
            if (string.Equals(GetName(i), name, StringComparison.OrdinalIgnoreCase))
                return i;
        throw new ArgumentOutOfRangeException(nameof(name), name, "No such column.");
    }

    public override Type GetFieldType(int ordinal) => GetValue(ordinal).GetType();
    public override string GetDataTypeName(int ordinal) => GetFieldType(ordinal).Name;

    public override char GetChar(int ordinal) => throw new NotSupportedException();
    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length) => throw new NotSupportedException();
    public override DateTime GetDateTime(int ordinal) => throw new NotSupportedException();
    public override decimal GetDecimal(int ordinal) => throw new NotSupportedException();
    public override Guid GetGuid(int ordinal) => throw new NotSupportedException();
    public override IEnumerator GetEnumerator() => throw new NotSupportedException();
    public override bool Read() => throw new NotSupportedException("The reader is given one row at a time.");
    public override bool NextResult() => false;

    private int Type(int ordinal) => raw.sqlite3_column_type(statement, ordinal);

    /// <summary>SQLite would hand out 0 or an empty text for null; PostgreSQL throws, and so does this.</summary>
    private int Present(int ordinal) =>
        IsDBNull(ordinal) ? throw new InvalidCastException($"Column {GetName(ordinal)} is null.") : ordinal;

    private byte[] Blob(int ordinal) => raw.sqlite3_column_blob(statement, Present(ordinal)).ToArray();
}
